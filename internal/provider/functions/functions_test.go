package functions_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// literal returns a value with the type of an expression in the CLI: objects are objects and lists are tuples.
func literal(from any) tftypes.Value {
	switch v := from.(type) {
	case nil:
		return tftypes.NewValue(tftypes.DynamicPseudoType, nil)
	case acctest.Object:
		typ, values := map[string]tftypes.Type{}, map[string]tftypes.Value{}
		for name, field := range v {
			values[name] = literal(field)
			typ[name] = values[name].Type()
		}
		return tftypes.NewValue(tftypes.Object{AttributeTypes: typ}, values)
	case []any:
		typ, values := make([]tftypes.Type, len(v)), make([]tftypes.Value, len(v))
		for i, element := range v {
			values[i] = literal(element)
			typ[i] = values[i].Type()
		}
		return tftypes.NewValue(tftypes.Tuple{ElementTypes: typ}, values)
	case string:
		return tftypes.NewValue(tftypes.String, v)
	case bool:
		return tftypes.NewValue(tftypes.Bool, v)
	case int:
		return tftypes.NewValue(tftypes.Number, v)
	case func() any: // later
		return tftypes.NewValue(tftypes.String, tftypes.UnknownValue)
	default:
		panic(fmt.Sprintf("no literal for %T", from))
	}
}

// callFunction calls a function whose parameters are dynamic, except for the given types, and returns its result or its error.
func callFunction(s *acctest.Protocol, name string, parameters []tftypes.Type, arguments ...any) string {
	s.T.Helper()
	var encoded []*tfprotov6.DynamicValue
	for i, argument := range arguments {
		value := literal(argument)
		if m, ok := parameters[i].(tftypes.Map); ok {
			elements := map[string]tftypes.Value{}
			acctest.NoError(s.T, value.As(&elements))
			value = tftypes.NewValue(m, elements)
		}
		encoded = append(encoded, s.EncodeValue(parameters[i], value))
	}
	resp, err := s.CallFunction(s.T.Context(), &tfprotov6.CallFunctionRequest{Name: name, Arguments: encoded})
	acctest.NoError(s.T, err)
	if resp.Error != nil {
		if resp.Error.FunctionArgument == nil {
			return "problem: " + resp.Error.Text
		}
		return fmt.Sprintf("problem in argument %d: %s", *resp.Error.FunctionArgument, resp.Error.Text)
	}
	result, err := resp.Result.Unmarshal(tftypes.String)
	acctest.NoError(s.T, err)
	if !result.IsKnown() {
		return "not known"
	}
	return s.DecodeString(result)
}

// later is a string that is unknown until apply.
func later() any { return nil }

// The functions return the golden files of brane_infrastructure, which a Brane instance can read.
const goldenInfra = `locations:
  compute:
    kind: kube
    address: 203.0.113.7:6443
    callback_to: http://198.51.100.10:50052
    namespace: brane
    registry: 198.51.100.10:50050
    mount_dfs: redis://198.51.100.10
    credentials:
      mechanism: config
      file: s$compute
  "12":
    kind: kube
    address: 203.0.113.8:6443
    callback_to: http://198.51.100.10:50052
    namespace: "123"
    registry: 198.51.100.10:50050
    credentials:
      mechanism: config
      file: s$twelve
`

func TestInfraYMLFunction(t *testing.T) {
	dynamic := []tftypes.Type{tftypes.DynamicPseudoType}
	compute := acctest.Object{
		"address": "203.0.113.7:6443", "callback_to": "http://198.51.100.10:50052", "namespace": "brane", "registry": "198.51.100.10:50050", "mount_dfs": "redis://198.51.100.10", "proxy_address": nil,
	}
	twelve := acctest.Object{
		"address": "203.0.113.8:6443", "callback_to": "http://198.51.100.10:50052", "namespace": "123", "registry": "198.51.100.10:50050", "secret_name": "twelve",
	}
	// Locations stand in the order of their names: that of a map.
	head, tail, _ := strings.Cut(goldenInfra, "  compute:")
	compared, twelfth, _ := strings.Cut(tail, "  \"12\":")
	sorted := head + "  \"12\":" + twelfth + "  compute:" + compared
	for name, tt := range map[string]struct {
		locations any
		want      string
	}{
		"two locations":                {acctest.Object{"compute": compute, "12": twelve}, sorted},
		"none":                         {acctest.Object{}, "locations: {}\n"},
		"something is known later":     {acctest.Object{"compute": acctest.MergeObjects(compute, acctest.Object{"address": later})}, "not known"},
		"it is a string":               {"compute", `problem in argument 0: the locations must be a map of objects`},
		"a location is a string":       {acctest.Object{"compute": "x"}, `problem in argument 0: location "compute" is not an object`},
		"an attribute that is none":    {acctest.Object{"compute": acctest.MergeObjects(compute, acctest.Object{"addr": "x"})}, `problem in argument 0: location "compute" has no attribute "addr"; it may have address, callback_to, namespace, registry, proxy_address, mount_dfs, secret_name`},
		"an attribute that is no text": {acctest.Object{"compute": acctest.MergeObjects(compute, acctest.Object{"namespace": 7})}, `problem in argument 0: namespace of location "compute" must be a string`},
		"a value that Brane cannot use": {acctest.Object{"compute": acctest.MergeObjects(compute, acctest.Object{"registry": "http://198.51.100.10:50050"})},
			`problem in argument 0: location "compute" is not valid: registry: it has a scheme; image names begin with host:port alone, such as 198.51.100.10:50050`},
	} {
		t.Run(name, func(t *testing.T) {
			got := callFunction(acctest.NewProtocol(t), "infra_yml", dynamic, tt.locations)
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if strings.HasPrefix(got, "locations:") {
				if _, err := infra.ParseInfra([]byte(got)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestSecretsYMLFunction(t *testing.T) {
	parsed, err := credentials.Parse([]byte(acctest.Kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	rendered, err := credentials.Render(*parsed)
	if err != nil {
		t.Fatal(err)
	}
	texts := []tftypes.Type{tftypes.Map{ElementType: tftypes.String}}
	for name, tt := range map[string]struct {
		kubeconfigs acctest.Object
		want        string
	}{
		"two": {acctest.Object{"compute": acctest.Kubeconfig, "12": acctest.Kubeconfig},
			`"12": ` + infra.EncodeKubeconfig(rendered) + "\ncompute: " + infra.EncodeKubeconfig(rendered) + "\n"},
		"none":            {acctest.Object{}, "{}\n"},
		"no kubeconfig":   {acctest.Object{"compute": "{}"}, `problem in argument 0: secret "compute": kubeconfig: current-context: it is not set; write the name of the context that Brane is to use`},
		"a name with a $": {acctest.Object{"s$compute": acctest.Kubeconfig}, `problem in argument 0: secret_name: "s$compute" is not a valid secret name: use 1 to 63 letters, digits, "-", "_" and ".", with a letter or digit at both ends`},
		"a plugin to run": {acctest.Object{"compute": strings.Replace(acctest.Kubeconfig, "{token: TOKEN}", "{exec: {command: aws}}", 1)}, `problem in argument 0: secret "compute": kubeconfig: users["brane"].exec: Brane cannot run a plugin inside its container; write a token, or client-certificate-data with client-key-data`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := callFunction(acctest.NewProtocol(t), "secrets_yml", texts, tt.kubeconfigs); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestBackendYMLFunction(t *testing.T) {
	parameters := []tftypes.Type{tftypes.String, tftypes.DynamicPseudoType}
	for name, tt := range map[string]struct {
		version string
		backend any
		want    string
	}{
		"Brane 1": {"1.0.0", acctest.Object{"address": "203.0.113.7:6443", "config": "/config/kubeconfig.yml"},
			"capabilities: null\nmethod:\n  kind: kubernetes\n  address: 203.0.113.7:6443\n  config: /config/kubeconfig.yml\n"},
		"Brane 2": {"2.0", acctest.Object{"address": "203.0.113.7:6443", "config": "/config/kubeconfig.yml", "capabilities": []any{"cuda_gpu"}, "hash_containers": false},
			"capabilities:\n- cuda_gpu\nhash_containers: false\nmethod:\n  kind: kubernetes\n  address: 203.0.113.7:6443\n  config: /config/kubeconfig.yml\n"},
		"Brane 3": {"3.0.0", acctest.Object{"registry_address": "registry.example.org:5000", "config": "/config/kubeconfig.yml", "hash_containers": nil},
			"capabilities: null\nmethod: !kubernetes\n  registry_address: registry.example.org:5000\n  config: /config/kubeconfig.yml\n"},
		"something is known later":   {"3", acctest.Object{"registry_address": later, "config": "/k"}, "not known"},
		"Brane 0.6":                  {"0.6", acctest.Object{"config": "/k"}, `problem: version: "0.6" is not a Brane version that has a backend.yml: use 1, 2 or 3, or a release such as 3.0.0`},
		"a capability that is none":  {"3", acctest.Object{"registry_address": "r:1", "config": "/k", "capabilities": []any{"CudaGpu"}}, `problem: capabilities: "CudaGpu" is not a supported capability; Brane only has cuda_gpu`},
		"capabilities in no list":    {"3", acctest.Object{"registry_address": "r:1", "config": "/k", "capabilities": "cuda_gpu"}, `problem in argument 1: capabilities of the backend must be a list of strings`},
		"a number in the list":       {"3", acctest.Object{"registry_address": "r:1", "config": "/k", "capabilities": []any{1}}, `problem in argument 1: capabilities of the backend must be a list of strings`},
		"null in the list":           {"3", acctest.Object{"registry_address": "r:1", "config": "/k", "capabilities": []any{nil}}, `problem in argument 1: capabilities of the backend must be a list of strings without null`},
		"a truth value in quotes":    {"3", acctest.Object{"registry_address": "r:1", "config": "/k", "hash_containers": "yes"}, `problem in argument 1: hash_containers of the backend must be true or false`},
		"the form of another method": {"3", acctest.Object{"path": "/var/run/docker.sock"}, `problem in argument 1: the backend has no attribute "path"; it may have config, address, registry_address, capabilities, hash_containers`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := callFunction(acctest.NewProtocol(t), "backend_yml", parameters, tt.version, tt.backend); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}
