package kubeconfig_test

import (
	"os"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

const someCA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

func TestKubeconfigFunction(t *testing.T) {
	golden, err := os.ReadFile("testdata/kubeconfig.yml")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		address, ca, token, namespace string
		want, problem                 string
	}{
		"by host and port": {"203.0.113.7:6443", someCA, "t0ken", "compute", string(golden), ""},
		"by URL":           {"https://203.0.113.7:6443", someCA, "t0ken", "compute", string(golden), ""},
		"by another scheme": {"http://203.0.113.7:6443", someCA, "t0ken", "compute", "",
			`0: "http://203.0.113.7:6443" is neither host:port nor an https URL of an API server`},
		"no address":               {"", someCA, "t0ken", "compute", "", `0: "" is neither host:port nor an https URL of an API server`},
		"the authority is a path":  {"203.0.113.7:6443", "/etc/ca.pem", "t0ken", "compute", "", `1: does not contain a PEM certificate; pass the content of the file, not its path and not base64`},
		"no token":                 {"203.0.113.7:6443", someCA, "", "compute", "", `2: must not be empty`},
		"the namespace is no name": {"203.0.113.7:6443", someCA, "t0ken", "My_Space", "", `3: "My_Space" is not the name of a namespace: a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
	} {
		t.Run(name, func(t *testing.T) {
			s := acctest.NewProtocol(t)
			var arguments []*tfprotov6.DynamicValue
			for _, argument := range []string{tt.address, tt.ca, tt.token, tt.namespace} {
				arguments = append(arguments, s.EncodeValue(tftypes.String, tftypes.NewValue(tftypes.String, argument)))
			}
			// The provider is not configured: the function asks nobody.
			resp, err := s.CallFunction(t.Context(), &tfprotov6.CallFunctionRequest{Name: "kubeconfig", Arguments: arguments})
			if err != nil {
				t.Fatal(err)
			}
			if resp.Error != nil {
				if got := string(rune('0'+*resp.Error.FunctionArgument)) + ": " + resp.Error.Text; got != tt.problem {
					t.Errorf("got  %s\nwant %s", got, tt.problem)
				}
				return
			}
			result, err := resp.Result.Unmarshal(tftypes.String)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.DecodeString(result); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestAccKubeconfigFunction(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/kubeconfig.yml")
	if err != nil {
		t.Fatal(err)
	}
	acctest.NewEnv(t)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config: `
output "kubeconfig" {
  value = provider::brane::kubeconfig("203.0.113.7:6443", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "t0ken", "compute")
}
`,
			ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownOutputValue("kubeconfig", knownvalue.StringExact(string(golden)))},
		}},
	})
}
