package infrastructure_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Errors that are known during a plan are reported on the attribute to correct.
func TestInfrastructureChecksItsConfiguration(t *testing.T) {
	kubeconfig := func(from, to string) acctest.Object {
		if !strings.Contains(acctest.Kubeconfig, from) {
			t.Fatalf("the good kubeconfig holds no %q", from)
		}
		return acctest.Object{"credentials": acctest.Object{"kubeconfig_wo": strings.Replace(acctest.Kubeconfig, from, to, 1), "kubeconfig_wo_version": 1}}
	}
	good := acctest.Object{
		"name": "compute", "namespace": "brane", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052",
		"credentials": acctest.Object{"service_account": "brane"},
	}
	for name, tt := range map[string]struct {
		given acctest.Object
		at    string
		say   string
	}{
		"nothing is wrong":                      {given: acctest.Object{"mount_dfs": "redis://198.51.100.10", "proxy_address": "198.51.100.10:1080", "address": "203.0.113.7:6443", "secret_name": "s"}},
		"a callback without a scheme":           {acctest.Object{"callback_to": "198.51.100.10:50052"}, "callback_to", "begin with http://"},
		"a callback to this machine":            {acctest.Object{"callback_to": "http://localhost:50052"}, "callback_to", "the container itself"},
		"a callback to the loopback":            {acctest.Object{"callback_to": "http://127.0.0.1:50052"}, "callback_to", "the container itself"},
		"a registry with a scheme":              {acctest.Object{"registry": "https://198.51.100.10:50050"}, "registry", "has a scheme"},
		"an address with a scheme":              {acctest.Object{"address": "https://203.0.113.7:6443"}, "address", "has a scheme"},
		"an address without a port":             {acctest.Object{"address": "203.0.113.7"}, "address", "it has no port"},
		"a mount that is no Redis":              {acctest.Object{"mount_dfs": "http://198.51.100.10"}, "mount_dfs", "redis://"},
		"a mount on this machine":               {acctest.Object{"mount_dfs": "redis://localhost"}, "mount_dfs", "localhost"},
		"an empty mount":                        {acctest.Object{"mount_dfs": ""}, "mount_dfs", "at least 1"},
		"a name with a space":                   {acctest.Object{"name": "my cluster"}, "name", "is not a valid location name"},
		"a namespace that is none":              {acctest.Object{"namespace": "Brane"}, "namespace", "lower"},
		"a secret's name with a dollar":         {acctest.Object{"secret_name": "s$compute"}, "secret_name", "is not a valid secret name"},
		"no credential":                         {acctest.Object{"credentials": acctest.Object{}}, "credentials.service_account", "one (and only one)"},
		"two credentials":                       {acctest.Object{"credentials": acctest.Object{"service_account": "brane", "kubeconfig_wo": acctest.Kubeconfig, "kubeconfig_wo_version": 1}}, "credentials.service_account", "one (and only one)"},
		"a kubeconfig without its version":      {acctest.Object{"credentials": acctest.Object{"kubeconfig_wo": acctest.Kubeconfig}}, "credentials.kubeconfig_wo", "kubeconfig_wo_version"},
		"a version of nothing":                  {acctest.Object{"credentials": acctest.Object{"service_account": "brane", "kubeconfig_wo_version": 1}}, "credentials.kubeconfig_wo_version", "kubeconfig_wo"},
		"a lifetime of a kubeconfig":            {acctest.Object{"credentials": acctest.Object{"kubeconfig_wo": acctest.Kubeconfig, "kubeconfig_wo_version": 1, "lifetime": "1h"}}, "credentials.lifetime", "service_account"},
		"a lifetime of what does not expire":    {acctest.Object{"credentials": acctest.Object{"service_account": "brane", "long_lived": true, "lifetime": "1h"}}, "credentials.lifetime", "long_lived"},
		"a lifetime that no server grants":      {acctest.Object{"credentials": acctest.Object{"service_account": "brane", "lifetime": "5m"}}, "credentials.lifetime", "ten minutes"},
		"a renewal in time":                     {given: acctest.Object{"credentials": acctest.Object{"service_account": "brane", "lifetime": "1h", "renew_before": "59m"}}},
		"a renewal before the token is issued":  {acctest.Object{"credentials": acctest.Object{"service_account": "brane", "lifetime": "1h", "renew_before": "60m"}}, "credentials.renew_before", "renew_before is 1h and the lifetime of the token is 1h"},
		"a renewal before the default lifetime": {acctest.Object{"credentials": acctest.Object{"service_account": "brane", "renew_before": "2161h"}}, "credentials.renew_before", "the lifetime of the token is 2160h"},
		"a renewal of a kubeconfig":             {acctest.Object{"credentials": acctest.Object{"kubeconfig_wo": acctest.Kubeconfig, "kubeconfig_wo_version": 1, "renew_before": "1h"}}, "credentials.renew_before", "service_account"},
		"a renewal of what does not expire":     {acctest.Object{"credentials": acctest.Object{"service_account": "brane", "long_lived": true, "renew_before": "1h"}}, "credentials.renew_before", "long_lived"},
		"a negative renewal":                    {acctest.Object{"credentials": acctest.Object{"service_account": "brane", "renew_before": "-1h"}}, "credentials.renew_before", "at least one minute"},
		"a good kubeconfig":                     {given: kubeconfig("TOKEN", "OTHER")},
		"a token and a certificate":             {kubeconfig("token: TOKEN", "token: TOKEN, client-certificate-data: Q0E=, client-key-data: Q0E="), "credentials.kubeconfig_wo", `users["brane"].token: the user also has a client certificate`},
		"a plugin to execute":                   {kubeconfig("{token: TOKEN}", "{exec: {command: aws}}"), "credentials.kubeconfig_wo", `users["brane"].exec: Brane cannot run a plugin`},
		"a token in a file":                     {kubeconfig("token: TOKEN", "tokenFile: /var/run/token"), "credentials.kubeconfig_wo", `users["brane"].tokenFile: it names a file`},
		"an authority in a file":                {kubeconfig("certificate-authority-data: Q0E=", "certificate-authority: /etc/ca.crt"), "credentials.kubeconfig_wo", `clusters["c"].certificate-authority: it names a file`},
		"two documents":                         {kubeconfig("current-context: brane\n", "current-context: brane\n---\nkind: Config\n"), "credentials.kubeconfig_wo", "a second YAML document"},
		"URL-safe base64":                       {kubeconfig("Q0E=", "Pz8_Pg=="), "credentials.kubeconfig_wo", "URL-safe"},
		"a context that leads nowhere":          {kubeconfig("current-context: brane", "current-context: admin"), "credentials.kubeconfig_wo", `there is no context "admin"`},
		"a user that is not there":              {kubeconfig("user: brane}", "user: admin}"), "credentials.kubeconfig_wo", `there is no user "admin"`},
		"a server without TLS":                  {kubeconfig("https://", "http://"), "credentials.kubeconfig_wo", "unencrypted"},
		"base64 of a kubeconfig":                {acctest.Object{"credentials": acctest.Object{"kubeconfig_wo": "a2luZDogQ29uZmlnCg==", "kubeconfig_wo_version": 1}}, "credentials.kubeconfig_wo", "looks like base64"},
		"another namespace":                     {kubeconfig("namespace: brane", "namespace: other"), "namespace", `the kubeconfig's context is for namespace "other"`},
		"another server":                        {acctest.MergeObjects(kubeconfig("TOKEN", "X"), acctest.Object{"address": "203.0.113.8:6443"}), "address", "the kubeconfig's server is 203.0.113.7:6443"},
	} {
		t.Run(name, func(t *testing.T) {
			s := acctest.NewProtocol(t)
			resp, err := s.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
				TypeName: "brane_infrastructure", Config: s.EncodeObject(s.Schemas.ResourceSchemas["brane_infrastructure"], acctest.MergeObjects(good, tt.given)),
				ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
			})
			if err != nil {
				t.Fatal(err)
			}
			said := acctest.FormatDiagnostics(resp.Diagnostics)
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
