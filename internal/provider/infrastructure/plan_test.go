package infrastructure_test

import (
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestPlanOfInfrastructure checks what a plan reports about values that Brane cannot use. It connects to nothing.
func TestPlanOfInfrastructure(t *testing.T) {
	const (
		loopback = `WARNING, AttributeName("address"): Loopback address: address is `
		proxy    = `WARNING, AttributeName("proxy_address"): Loopback address: proxy_address is 127.0.0.1:1080`
		noCA     = `ERROR, AttributeName("credentials"): No CA certificate to register: `
		noName   = `ERROR, AttributeName("address"): Address not usable by Brane: `
	)
	kubeconfig := func(server string) acctest.Object {
		return acctest.Object{"credentials": acctest.Object{"kubeconfig_wo": strings.Replace(acctest.Kubeconfig, "203.0.113.7:6443", server, 1), "kubeconfig_wo_version": 1}}
	}
	for name, tt := range map[string]struct {
		cluster acctest.Object
		given   acctest.Object
		want    []string
	}{
		"an address of the network":              {nil, nil, nil},
		"the default address":                    {acctest.Object{"host": "https://127.0.0.1:6443"}, nil, []string{loopback + "127.0.0.1:6443", "Set address to a host:port"}},
		"the default address by name":            {acctest.Object{"host": "https://localhost:6443"}, nil, []string{loopback + "localhost:6443"}},
		"the default address of a test cluster":  {acctest.Object{"host": "https://127.0.1.1:6443"}, nil, []string{loopback + "127.0.1.1:6443"}},
		"localhost":                              {nil, acctest.Object{"address": "localhost:6443"}, []string{loopback}},
		"a loopback address":                     {nil, acctest.Object{"address": "127.0.0.1:6443"}, []string{loopback}},
		"a loopback address of IPv6":             {nil, acctest.Object{"address": "[::1]:6443"}, []string{loopback}},
		"a loopback address of IPv4 in IPv6":     {nil, acctest.Object{"address": "[::ffff:127.0.0.1]:6443"}, []string{loopback}},
		"every address":                          {nil, acctest.Object{"address": "0.0.0.0:6443"}, []string{loopback}},
		"another address than the default":       {acctest.Object{"host": "https://127.0.0.1:6443"}, acctest.Object{"address": "198.51.100.7:6443"}, nil},
		"a kubeconfig of k3s":                    {nil, kubeconfig("127.0.0.1:6443"), []string{loopback, "It is the server of the kubeconfig"}},
		"a proxy on the loopback":                {nil, acctest.Object{"proxy_address": "127.0.0.1:1080"}, []string{proxy}},
		"a registry on the nodes":                {nil, acctest.Object{"registry": "localhost:5000"}, nil},
		"no verification":                        {acctest.Object{"insecure": true}, nil, []string{noCA, "Replace insecure by cluster_ca_certificate"}},
		"no verification of the credentials too": {acctest.Object{"insecure": true}, acctest.Object{"verify_credentials": false}, []string{noCA}},
		"no verification, and a kubeconfig":      {acctest.Object{"insecure": true}, kubeconfig("203.0.113.7:6443"), nil},
		"another server name":                    {acctest.Object{"tls_server_name": "k8s.example.org"}, nil, []string{noName, "k8s.example.org (tls_server_name)", "Set address to"}},
		"another server name, and an address":    {acctest.Object{"tls_server_name": "k8s.example.org"}, acctest.Object{"address": "k8s.example.org:6443"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := acctest.NewProtocol(t)
			cluster := acctest.MergeObjects(acctest.Object{"host": "https://203.0.113.7:6443", "token": "t"}, tt.cluster)
			s.RequireNoErrors(s.Configure(acctest.Object{"kubernetes": cluster, "control_plane": acctest.Object{"directory": t.TempDir()}}, false).Diagnostics)
			plan := s.Plan("brane_infrastructure", acctest.MergeObjects(acctest.Object{
				"name": "compute", "namespace": "brane", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052",
			}, tt.given), false)
			said := strings.ReplaceAll(acctest.FormatDiagnostics(plan.Diagnostics), `WARNING, AttributeName("credentials").AttributeName("kubeconfig_wo"): Kubeconfig warning: `, "")
			for _, want := range tt.want {
				if !strings.Contains(said, want) {
					t.Errorf("got\n%s\nwant\n%s", said, want)
				}
			}
			if strings.Contains(said, "Loopback") && tt.want == nil || strings.Contains(said, "ERROR") && (tt.want == nil || !strings.HasPrefix(tt.want[0], "ERROR")) {
				t.Errorf("got\n%s", said)
			}
			if plan.PlannedState != nil {
				if token := s.DecodeAttributes(s.Schemas.ResourceSchemas["brane_infrastructure"], plan.PlannedState)["token_secret"]; !token.IsNull() {
					t.Errorf("token_secret is planned as %s", token)
				}
			}
		})
	}
}

// Credentials that are not known yet may be a kubeconfig for another cluster than that of the provider's connection, and may need no connection.
func TestPlanOfUnknownCredentials(t *testing.T) {
	t.Setenv("KUBE_CONFIG_PATH", "")
	config := acctest.Object{
		"name": "compute", "namespace": "team", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052", "verify_credentials": false, "credentials": acctest.Unknown,
	}
	for name, provider := range map[string]acctest.Object{
		"no connection":      {},
		"another connection": {"kubernetes": acctest.Object{"host": "https://203.0.113.1:6443", "insecure": true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := acctest.NewProtocol(t)
			s.RequireNoErrors(s.Configure(acctest.MergeObjects(provider, acctest.Object{"control_plane": acctest.Object{"directory": t.TempDir()}}), false).Diagnostics)
			plan := s.Plan("brane_infrastructure", config, false)
			s.RequireNoErrors(plan.Diagnostics)
			for name, value := range s.DecodeAttributes(s.Schemas.ResourceSchemas["brane_infrastructure"], plan.PlannedState) {
				if isComputed := name == "address" || name == "token_secret" || name == "fingerprint" || name == "expires_at"; isComputed && value.IsKnown() {
					t.Errorf("%s is planned as %s", name, value)
				}
			}
		})
	}
}
