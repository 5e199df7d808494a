package kubeconfig_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/echoprovider"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The test requests a kubeconfig for a namespace that is created in the same apply. The echo provider makes ephemeral values visible.
func TestAccKubeconfig(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	config := func(more string) string {
		return s.Config(t, acctest.NamespaceConfig+`
ephemeral "brane_kubeconfig" "test" {
  namespace     = brane_namespace.test.name
  namespace_uid = brane_namespace.test.uid
  `+more+`
}

provider "echo" {
  data = ephemeral.brane_kubeconfig.test
}

resource "echo" "test" {}
`)
	}
	data := func(name string) tfjsonpath.Path { return tfjsonpath.New("data").AtMapKey(name) }
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: map[string]func() (tfprotov6.ProviderServer, error){"brane": acctest.ProviderFactories["brane"], "echo": echoprovider.NewProviderServer()},
		Steps: []resource.TestStep{
			{Config: config(`lifetime = "9m"`), ExpectError: regexp.MustCompile("must be at least ten minutes")},
			{
				Config: config(""),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("echo.test", data("service_account"), knownvalue.StringExact("brane")),
					statecheck.ExpectKnownValue("echo.test", data("lifetime"), knownvalue.StringExact("1h")),
					statecheck.ExpectKnownValue("echo.test", data("host"), knownvalue.StringExact(s.Client.Host())),
					statecheck.ExpectKnownValue("echo.test", data("cluster_ca_certificate"), knownvalue.StringRegexp(regexp.MustCompile("BEGIN CERTIFICATE"))),
					statecheck.ExpectKnownValue("echo.test", data("kubeconfig"), knownvalue.StringFunc(func(text string) error { return checkKubeconfig(s, text, time.Hour) })),
				},
			},
			{Config: s.Config(t, acctest.NamespaceConfig)},
			{
				Config: config(`
  audiences = ["vault"]
  lifetime  = "10m"
  address   = "198.51.100.7:6443"
`),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue("echo.test", data("host"), knownvalue.StringExact("https://198.51.100.7:6443")),
					statecheck.ExpectKnownValue("echo.test", data("token"), knownvalue.StringFunc(func(token string) error {
						if audience := claim(t, token, "aud"); audience != "[vault]" {
							return fmt.Errorf("the token is for %s", audience)
						}
						return nil
					})),
				},
			},
		},
	})
}

// checkKubeconfig sends requests with a kubeconfig.
func checkKubeconfig(s acctest.Env, kubeconfig string, lifetime time.Duration) error {
	parsed, err := credentials.Parse([]byte(kubeconfig))
	if err != nil {
		return err
	}
	client, err := kube.New(parsed.Config())
	if err != nil {
		return err
	}
	if _, err := credentials.Probe(context.Background(), client, s.Namespace); err != nil {
		return err
	}
	issued, expires, _ := parsed.Lifetime()
	if got := expires.Sub(issued); got != lifetime {
		return fmt.Errorf("the token lives %s, want %s", got, lifetime)
	}
	return nil
}

// claim returns a claim of a token, as Go prints it.
func claim(t *testing.T, token, name string) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token+"..", ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(claims[name])
}

// The test makes the calls of the CLI during a long operation, with an API server that always grants ten minutes.
func TestKubeconfigOpenAndRenew(t *testing.T) {
	t.Parallel()
	issued := time.Now().Truncate(time.Second)
	expires := issued.Add(10 * time.Minute)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/version":
			http.NotFound(w, r)
			return
		case "/api/v1/namespaces/compute/serviceaccounts/brane/token":
		default:
			t.Errorf("asked for %s", r.URL.Path)
		}
		claims := fmt.Sprintf(`{"iat":%d,"exp":%d}`, issued.Unix(), expires.Unix())
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		if err := json.NewEncoder(w).Encode(authenticationv1.TokenRequest{
			TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenRequest"},
			Status: authenticationv1.TokenRequestStatus{
				Token: "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln", ExpirationTimestamp: metav1.NewTime(expires),
			},
		}); err != nil {
			t.Error(err)
		}
	}))
	defer api.Close()
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"kubernetes": acctest.Object{"host": api.URL}}, false).Diagnostics)
	opened := s.OpenEphemeral("brane_kubeconfig", acctest.Object{"namespace": "compute", "lifetime": "2h"})
	const short = `WARNING, AttributeName("lifetime"): Token lifetime shorter than requested: ` +
		`Requesting a token of service account "brane" in namespace "compute" for 2h, the API server granted 10m.`
	if got := acctest.FormatDiagnostics(opened.Diagnostics); got != short {
		t.Errorf("opened with %s\nwant        %s", got, short)
	}
	if want := expires.Add(-time.Minute); !opened.RenewAt.Equal(want) {
		t.Errorf("to be renewed at %s, want %s", opened.RenewAt, want)
	}
	result := s.DecodeAttributes(s.Schemas.EphemeralResourceSchemas["brane_kubeconfig"], opened.Result)
	if got, want := s.DecodeString(result["expires_at"]), expires.UTC().Format(time.RFC3339); got != want {
		t.Errorf("expires_at is %s, want %s", got, want)
	}

	renewed, err := s.RenewEphemeralResource(t.Context(), &tfprotov6.RenewEphemeralResourceRequest{TypeName: "brane_kubeconfig", Private: opened.Private})
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`WARNING: Token expires during this operation: The token of service account "brane" in namespace "compute" expires at %s; requests with it are rejected `+
		`from then on. Set lifetime to more than the duration of the operation.`, expires.UTC().Format(time.RFC3339))
	if got := acctest.FormatDiagnostics(renewed.Diagnostics); got != want || !renewed.RenewAt.IsZero() {
		t.Errorf("renewed with %s, again at %s\nwant         %s", got, renewed.RenewAt, want)
	}
}

func TestKubeconfigProblems(t *testing.T) {
	t.Setenv("KUBE_CONFIG_PATH", "")
	t.Setenv("KUBE_HOST", "")
	known := acctest.Object{"clusters": acctest.Object{"berlin": acctest.Object{"host": "https://127.0.0.1:1"}, "oslo": acctest.Object{"host": acctest.Unknown}}}
	const tried = `Requesting a token of service account "brane" in namespace "compute": `
	for name, tt := range map[string]struct {
		cluster any
		want    string
	}{
		"the cluster is none of them": {"bergen", `ERROR, AttributeName("cluster"): Unknown cluster: ` + tried +
			`there is no cluster "bergen" in clusters of the provider block: it has "berlin", "oslo".`},
		"the cluster is not known yet": {"oslo", `ERROR: Failed to connect to the cluster: ` + tried + `the provider's configuration is not known before apply.

Apply the resources on which the provider block depends first, for example with -target, then plan again.`},
		"the cluster does not answer": {"berlin", `ERROR: Failed to request a token: ` + tried + `request a token for service account "brane" in namespace "compute" on https://127.0.0.1:1: ` +
			`Post "https://127.0.0.1:1/api/v1/namespaces/compute/serviceaccounts/brane/token": dial tcp 127.0.0.1:1: connect: connection refused.

Check that the cluster is running and that the machine that runs Terraform can connect to this address.`},
	} {
		t.Run(name, func(t *testing.T) {
			s := acctest.NewProtocol(t)
			s.RequireNoErrors(s.Configure(known, false).Diagnostics)
			if got := acctest.FormatDiagnostics(s.OpenEphemeral("brane_kubeconfig", acctest.Object{"namespace": "compute", "cluster": tt.cluster}).Diagnostics); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
