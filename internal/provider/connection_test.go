package provider_test

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// certificate has the form of a certificate.
const certificate = "-----BEGIN CERTIFICATE-----\nYw==\n-----END CERTIFICATE-----\n"

var connectionVariables = []string{
	"KUBE_CONFIG_PATH", "KUBE_CTX", "KUBE_HOST", "KUBE_TOKEN", "KUBE_CLIENT_CERT_DATA", "KUBE_CLIENT_KEY_DATA", "KUBE_CLUSTER_CA_CERT_DATA", "KUBE_TLS_SERVER_NAME",
	"KUBE_PROXY_URL", "KUBE_INSECURE",
}

// setEnvironment sets the variables of a connection; the others are empty.
func setEnvironment(t *testing.T, set map[string]string) {
	t.Helper()
	for _, name := range connectionVariables {
		t.Setenv(name, set[name])
	}
}

// validate returns the diagnostics of a plan about the provider block: those of its validation and, if there are none, those of its configuration.
func validate(t *testing.T, s *acctest.Protocol, block acctest.Object) string {
	t.Helper()
	validated, err := s.ValidateProviderConfig(t.Context(), &tfprotov6.ValidateProviderConfigRequest{Config: s.EncodeObject(s.Schemas.Provider, block)})
	if err != nil {
		t.Fatal(err)
	}
	if len(validated.Diagnostics) > 0 {
		return acctest.FormatDiagnostics(validated.Diagnostics)
	}
	return acctest.FormatDiagnostics(s.Configure(block, false).Diagnostics)
}

// TestConnectionHasOneSource checks what a plan reports about settings that come from two sources.
func TestConnectionHasOneSource(t *testing.T) {
	const (
		host, file, secret = "https://203.0.113.7:6443", "/etc/kubeconfig", "s3cret"
		whole              = " Server, CA and identity of a connection come from one source as a whole. Remove one of the two."
		identity           = ", and each is an identity. The API server would use only one of them. Remove the other."
		incomplete         = " is set, but the block names no cluster. Set kubernetes.host as well: server, CA and identity come from one source as a whole, and are not merged with environment variables."
	)
	type env = map[string]string
	conflict := func(attribute, detail string) string {
		return `ERROR, AttributeName("kubernetes").AttributeName("` + attribute + `"): Conflicting connection settings: ` + detail
	}
	ignored := func(names string) string {
		return `WARNING, AttributeName("kubernetes"): Environment variables ignored: The provider block describes the connection to the cluster, so these environment variables have no effect: ` +
			names + `. Unset them to remove this warning.`
	}
	exec := acctest.Object{"api_version": "client.authentication.k8s.io/v1", "command": "aws"}
	for name, tt := range map[string]struct {
		block       acctest.Object
		environment env
		want        string
	}{
		"a file":                         {acctest.Object{"config_path": file, "config_context": "a", "qps": 10}, nil, ""},
		"a host":                         {acctest.Object{"host": host, "token": secret, "cluster_ca_certificate": certificate, "proxy_url": "http://203.0.113.8", "tls_server_name": "a"}, nil, ""},
		"a host with a plugin":           {acctest.Object{"host": host, "exec": exec, "insecure": true}, nil, ""},
		"the pod":                        {acctest.Object{"in_cluster": true}, nil, ""},
		"the environment's file":         {acctest.Object{}, env{"KUBE_CONFIG_PATH": file, "KUBE_CTX": "a"}, ""},
		"the environment's host":         {acctest.Object{}, env{"KUBE_HOST": host, "KUBE_TOKEN": secret, "KUBE_CLUSTER_CA_CERT_DATA": certificate, "KUBE_INSECURE": "false"}, ""},
		"a context of the environment's": {acctest.Object{"config_context": "a"}, env{"KUBE_CONFIG_PATH": file, "KUBE_CTX": "b"}, ""},
		"KUBE_TOKEN of a host":           {acctest.Object{"host": host}, env{"KUBE_TOKEN": secret}, ""},

		"a file and a host":        {acctest.Object{"config_path": file, "host": host}, nil, conflict("host", "Both kubernetes.config_path and kubernetes.host are set."+whole)},
		"a file and a token":       {acctest.Object{"config_path": file, "token": secret}, nil, conflict("token", "Both kubernetes.config_path and kubernetes.token are set."+whole)},
		"a file and a plugin":      {acctest.Object{"config_path": file, "exec": exec}, nil, conflict("exec", "Both kubernetes.config_path and kubernetes.exec are set."+whole)},
		"a file and no checks":     {acctest.Object{"config_path": file, "insecure": true}, nil, conflict("insecure", "Both kubernetes.config_path and kubernetes.insecure are set."+whole)},
		"a file and the pod":       {acctest.Object{"config_path": file, "in_cluster": true}, nil, conflict("in_cluster", "Both kubernetes.config_path and kubernetes.in_cluster are set."+whole)},
		"the pod and a token":      {acctest.Object{"in_cluster": true, "token": secret}, nil, conflict("token", "Both kubernetes.in_cluster and kubernetes.token are set."+whole)},
		"a host and a context":     {acctest.Object{"host": host, "config_context": "a"}, nil, conflict("config_context", "Both kubernetes.host and kubernetes.config_context are set."+whole)},
		"two identities":           {acctest.Object{"host": host, "token": secret, "exec": exec}, nil, conflict("exec", "Both kubernetes.token and kubernetes.exec are set"+identity)},
		"a certificate, no key":    {acctest.Object{"host": host, "client_certificate": certificate}, nil, conflict("client_certificate", "A client certificate needs a key: kubernetes.client_certificate is set without kubernetes.client_key.")},
		"no checks, but a CA":      {acctest.Object{"host": host, "insecure": true, "cluster_ca_certificate": certificate}, nil, conflict("insecure", "Both kubernetes.insecure and kubernetes.cluster_ca_certificate are set. Without verification the CA certificate has no effect. Remove one of the two.")},
		"a token for KUBE_HOST":    {acctest.Object{"token": secret}, env{"KUBE_HOST": host}, conflict("token", "The attribute kubernetes.token"+incomplete)},
		"a plugin for the file":    {acctest.Object{"exec": exec}, env{"KUBE_CONFIG_PATH": file}, conflict("exec", "The attribute kubernetes.exec"+incomplete)},
		"a context of no file":     {acctest.Object{"config_context": "a"}, nil, conflict("config_context", "The attribute kubernetes.config_context selects a context of a kubeconfig file, and no file is set. Set kubernetes.config_path.")},
		"two in the environment":   {acctest.Object{}, env{"KUBE_CONFIG_PATH": file, "KUBE_HOST": host}, conflict("host", "Both the environment variable KUBE_CONFIG_PATH and the environment variable KUBE_HOST are set."+whole)},
		"KUBE_TOKEN beside a file": {acctest.Object{}, env{"KUBE_CONFIG_PATH": file, "KUBE_TOKEN": secret}, conflict("token", "Both the environment variable KUBE_CONFIG_PATH and the environment variable KUBE_TOKEN are set."+whole)},
		"KUBE_INSECURE is no boolean": {acctest.Object{}, env{"KUBE_HOST": host, "KUBE_INSECURE": "yes"},
			`ERROR, AttributeName("kubernetes").AttributeName("insecure"): Invalid environment variable: The environment variable KUBE_INSECURE is not a boolean (true or false). Correct or unset it.`},

		"a variable in another form": {acctest.Object{}, env{"KUBE_HOST": host, "KUBE_TOKEN": secret + "\n"},
			`ERROR, AttributeName("kubernetes").AttributeName("token"): Invalid environment variable: The value of the environment variable KUBE_TOKEN is not valid: it begins or ends with a space or a line break: use trimspace(…).`},
		"a token in another form": {acctest.Object{"host": host, "token": secret + "\n"}, nil,
			`ERROR, AttributeName("kubernetes").AttributeName("token"): Invalid token: kubernetes.token is not valid: it begins or ends with a space or a line break: use trimspace(…).`},
		"a CA in another form": {acctest.Object{"host": host, "cluster_ca_certificate": "LS0tLS1CRUdJTiBDRVJU"}, nil,
			`ERROR, AttributeName("kubernetes").AttributeName("cluster_ca_certificate"): Invalid certificate: kubernetes.cluster_ca_certificate is not valid: it is base64-encoded, and must be PEM: use base64decode(…).`},
		"an ignored variable in another form": {acctest.Object{"config_path": file}, env{"KUBE_INSECURE": "yes", "KUBE_HOST": "x"}, ignored("KUBE_HOST, KUBE_INSECURE")},

		"variables beside a file": {acctest.Object{"config_path": file}, env{"KUBE_HOST": host, "KUBE_CTX": "staging", "KUBE_INSECURE": "true", "KUBE_TOKEN": secret},
			ignored("KUBE_CTX, KUBE_HOST, KUBE_TOKEN, KUBE_INSECURE")},
		"the same file": {acctest.Object{"config_path": file}, env{"KUBE_CONFIG_PATH": file}, ""},
		"variables beside a host": {acctest.Object{"host": host, "token": secret}, env{"KUBE_CONFIG_PATH": file, "KUBE_TOKEN": "another", "KUBE_PROXY_URL": "http://203.0.113.8"},
			ignored("KUBE_CONFIG_PATH, KUBE_TOKEN, KUBE_PROXY_URL")},
	} {
		t.Run(name, func(t *testing.T) {
			setEnvironment(t, tt.environment)
			got := validate(t, acctest.NewProtocol(t), acctest.Object{"kubernetes": tt.block})
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if strings.Contains(got, secret) {
				t.Error("a message contains the token")
			}
		})
	}
}

// TestClustersHaveOneSourceEach checks the same rules for the entries of clusters, which no environment variable describes.
func TestClustersHaveOneSourceEach(t *testing.T) {
	setEnvironment(t, map[string]string{"KUBE_HOST": "https://203.0.113.9", "KUBE_TOKEN": "t"})
	two := func(berlin acctest.Object) acctest.Object {
		return acctest.Object{"clusters": acctest.Object{"berlin": berlin, "oslo": acctest.Object{"host": "https://203.0.113.8:6443"}}}
	}
	want := `WARNING, AttributeName("clusters"): Environment variables ignored: The provider block describes the connection to the cluster, so these environment variables have no effect: ` +
		`KUBE_HOST, KUBE_TOKEN. Unset them to remove this warning.`
	if got := validate(t, acctest.NewProtocol(t), two(acctest.Object{"config_path": "/etc/kubeconfig"})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = `ERROR, AttributeName("clusters").ElementKeyString("berlin").AttributeName("token"): Conflicting connection settings: Both clusters["berlin"].config_path and clusters["berlin"].token are set. ` +
		`Server, CA and identity of a connection come from one source as a whole. Remove one of the two.`
	if got := validate(t, acctest.NewProtocol(t), two(acctest.Object{"config_path": "/etc/kubeconfig", "token": "t"})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestCredentialIsSentToItsClusterOnly checks that a server that the block names never receives the token of a file that the environment names.
func TestCredentialIsSentToItsClusterOnly(t *testing.T) {
	received := make(chan string, 100)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received <- r.Header.Get("Authorization")
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf("clusters: [{name: production, cluster: {server: %q, certificate-authority-data: %s}}]\nusers: [{name: admin, user: {token: production}}]\n"+
		"contexts: [{name: main, context: {cluster: production, user: admin}}]\ncurrent-context: main\n", server.URL, base64.StdEncoding.EncodeToString(ca))
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		block       acctest.Object
		environment map[string]string
		want        string
	}{
		"a host beside the environment's file": {acctest.Object{"host": server.URL, "cluster_ca_certificate": string(ca)}, map[string]string{"KUBE_CONFIG_PATH": file}, ""},
		"a host with a token":                  {acctest.Object{"host": server.URL, "cluster_ca_certificate": string(ca), "token": "staging"}, map[string]string{"KUBE_CONFIG_PATH": file}, "Bearer staging"},
		"a host and KUBE_TOKEN":                {acctest.Object{"host": server.URL, "cluster_ca_certificate": string(ca)}, map[string]string{"KUBE_CONFIG_PATH": file, "KUBE_TOKEN": "staging"}, "Bearer staging"},
		"a file beside KUBE_TOKEN":             {acctest.Object{"config_path": file}, map[string]string{"KUBE_TOKEN": "staging"}, "Bearer production"},
		"a file beside KUBE_HOST":              {acctest.Object{"config_path": file}, map[string]string{"KUBE_HOST": "https://203.0.113.9"}, "Bearer production"},
	} {
		t.Run(name, func(t *testing.T) {
			setEnvironment(t, tt.environment)
			s := acctest.NewProtocol(t)
			s.Configure(acctest.Object{"kubernetes": tt.block}, false)
			s.OpenEphemeral("brane_kubeconfig", acctest.Object{"namespace": "compute"})
			requireHeader(t, received, tt.want)
		})
	}
}

// requireHeader checks that every request since the last call had this header, and that there was one.
func requireHeader(t *testing.T, received <-chan string, want string) {
	t.Helper()
	if len(received) == 0 {
		t.Error("the server received no request")
	}
	for range len(received) {
		if got := <-received; got != want {
			t.Errorf("the server received %q, want %q", got, want)
		}
	}
}
