package provider_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// Errors that are known during a plan are reported on the attribute to correct.
func TestInfrastructureChecksItsConfiguration(t *testing.T) {
	kubeconfig := func(from, to string) object {
		if !strings.Contains(goodKubeconfig, from) {
			t.Fatalf("the good kubeconfig holds no %q", from)
		}
		return object{"credentials": object{"kubeconfig_wo": strings.Replace(goodKubeconfig, from, to, 1), "kubeconfig_wo_version": 1}}
	}
	good := object{
		"name": "compute", "namespace": "brane", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052",
		"credentials": object{"service_account": "brane"},
	}
	for name, tt := range map[string]struct {
		given object
		at    string
		say   string
	}{
		"nothing is wrong":                      {given: object{"mount_dfs": "redis://198.51.100.10", "proxy_address": "198.51.100.10:1080", "address": "203.0.113.7:6443", "secret_name": "s"}},
		"a callback without a scheme":           {object{"callback_to": "198.51.100.10:50052"}, "callback_to", "begin with http://"},
		"a callback to this machine":            {object{"callback_to": "http://localhost:50052"}, "callback_to", "the container itself"},
		"a callback to the loopback":            {object{"callback_to": "http://127.0.0.1:50052"}, "callback_to", "the container itself"},
		"a registry with a scheme":              {object{"registry": "https://198.51.100.10:50050"}, "registry", "has a scheme"},
		"an address with a scheme":              {object{"address": "https://203.0.113.7:6443"}, "address", "has a scheme"},
		"an address without a port":             {object{"address": "203.0.113.7"}, "address", "is not host:port"},
		"a mount that is no Redis":              {object{"mount_dfs": "http://198.51.100.10"}, "mount_dfs", "redis://"},
		"a mount on this machine":               {object{"mount_dfs": "redis://localhost"}, "mount_dfs", "localhost"},
		"an empty mount":                        {object{"mount_dfs": ""}, "mount_dfs", "at least 1"},
		"a name with a space":                   {object{"name": "my cluster"}, "name", "is not a valid location name"},
		"a namespace that is none":              {object{"namespace": "Brane"}, "namespace", "lower"},
		"a secret's name with a dollar":         {object{"secret_name": "s$compute"}, "secret_name", "is not a valid secret name"},
		"no credential":                         {object{"credentials": object{}}, "credentials.service_account", "one (and only one)"},
		"two credentials":                       {object{"credentials": object{"service_account": "brane", "kubeconfig_wo": goodKubeconfig, "kubeconfig_wo_version": 1}}, "credentials.service_account", "one (and only one)"},
		"a kubeconfig without its version":      {object{"credentials": object{"kubeconfig_wo": goodKubeconfig}}, "credentials.kubeconfig_wo", "kubeconfig_wo_version"},
		"a version of nothing":                  {object{"credentials": object{"service_account": "brane", "kubeconfig_wo_version": 1}}, "credentials.kubeconfig_wo_version", "kubeconfig_wo"},
		"a lifetime of a kubeconfig":            {object{"credentials": object{"kubeconfig_wo": goodKubeconfig, "kubeconfig_wo_version": 1, "lifetime": "1h"}}, "credentials.lifetime", "service_account"},
		"a lifetime of what does not expire":    {object{"credentials": object{"service_account": "brane", "long_lived": true, "lifetime": "1h"}}, "credentials.lifetime", "long_lived"},
		"a lifetime that no server grants":      {object{"credentials": object{"service_account": "brane", "lifetime": "5m"}}, "credentials.lifetime", "ten minutes"},
		"a renewal in time":                     {given: object{"credentials": object{"service_account": "brane", "lifetime": "1h", "renew_before": "59m"}}},
		"a renewal before the token is issued":  {object{"credentials": object{"service_account": "brane", "lifetime": "1h", "renew_before": "60m"}}, "credentials.renew_before", "renew_before is 1h and the lifetime of the token is 1h"},
		"a renewal before the default lifetime": {object{"credentials": object{"service_account": "brane", "renew_before": "2161h"}}, "credentials.renew_before", "the lifetime of the token is 2160h"},
		"a renewal of a kubeconfig":             {object{"credentials": object{"kubeconfig_wo": goodKubeconfig, "kubeconfig_wo_version": 1, "renew_before": "1h"}}, "credentials.renew_before", "service_account"},
		"a renewal of what does not expire":     {object{"credentials": object{"service_account": "brane", "long_lived": true, "renew_before": "1h"}}, "credentials.renew_before", "long_lived"},
		"a negative renewal":                    {object{"credentials": object{"service_account": "brane", "renew_before": "-1h"}}, "credentials.renew_before", "at least one minute"},
		"a good kubeconfig":                     {given: kubeconfig("TOKEN", "OTHER")},
		"a plugin to execute":                   {kubeconfig("{token: TOKEN}", "{exec: {command: aws}}"), "credentials.kubeconfig_wo", `users["brane"].exec: Brane cannot run a plugin`},
		"a token in a file":                     {kubeconfig("token: TOKEN", "tokenFile: /var/run/token"), "credentials.kubeconfig_wo", `users["brane"].tokenFile: it names a file`},
		"an authority in a file":                {kubeconfig("certificate-authority-data: Q0E=", "certificate-authority: /etc/ca.crt"), "credentials.kubeconfig_wo", `clusters["c"].certificate-authority: it names a file`},
		"two documents":                         {kubeconfig("current-context: brane\n", "current-context: brane\n---\nkind: Config\n"), "credentials.kubeconfig_wo", "a second YAML document"},
		"URL-safe base64":                       {kubeconfig("Q0E=", "Pz8_Pg=="), "credentials.kubeconfig_wo", "URL-safe"},
		"a context that leads nowhere":          {kubeconfig("current-context: brane", "current-context: admin"), "credentials.kubeconfig_wo", `there is no context "admin"`},
		"a user that is not there":              {kubeconfig("user: brane}", "user: admin}"), "credentials.kubeconfig_wo", `there is no user "admin"`},
		"a server without TLS":                  {kubeconfig("https://", "http://"), "credentials.kubeconfig_wo", "unencrypted"},
		"base64 of a kubeconfig":                {object{"credentials": object{"kubeconfig_wo": "a2luZDogQ29uZmlnCg==", "kubeconfig_wo_version": 1}}, "credentials.kubeconfig_wo", "looks like base64"},
		"another namespace":                     {kubeconfig("namespace: brane", "namespace: other"), "namespace", `the kubeconfig's context is for namespace "other"`},
		"another server":                        {merged(kubeconfig("TOKEN", "X"), object{"address": "203.0.113.8:6443"}), "address", "the kubeconfig's server is 203.0.113.7:6443"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpeaker(t)
			resp, err := s.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
				TypeName: "brane_infrastructure", Config: s.value(s.schemas.ResourceSchemas["brane_infrastructure"], merged(good, tt.given)),
				ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			said := tell(resp.Diagnostics)
			want := func(line string) bool {
				return strings.HasPrefix(line, `ERROR, AttributeName("`+strings.ReplaceAll(tt.at, ".", `").AttributeName("`)+`"): `) && strings.Contains(line, tt.say)
			}
			if tt.at == "" && strings.Contains(said, "ERROR") || tt.at != "" && !slices.ContainsFunc(strings.Split(said, "\n"), want) {
				t.Errorf("on %s it should say %q, and said\n%s", tt.at, tt.say, said)
			}
			if strings.Contains(said, "TOKEN") {
				t.Errorf("it tells a secret:\n%s", said)
			}
		})
	}
}
