package pulumi

import (
	"context"
	"crypto/rand"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// program is the part of a program in Pulumi's YAML that the tests read.
type program struct {
	Resources map[string]struct {
		Type       string
		Properties map[string]any
	}
	Outputs map[string]string
}

// readProgram returns the program of the guide, with the namespace and the image of the test.
func readProgram(t *testing.T, replaced ...string) program {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "examples/guides/pulumi/Pulumi.yaml"))
	noError(t, err)
	var p program
	noError(t, yaml.Unmarshal([]byte(strings.NewReplacer(replaced...).Replace(string(text))), &p))
	return p
}

// TestProgramNames checks that the translated schema has the resources of the program of the guide, and all their properties.
func TestProgramNames(t *testing.T) {
	translated, p := readTranslation(t, startPlugin(t)), readProgram(t)
	if len(p.Resources) < 3 {
		t.Fatalf("found only %d resources", len(p.Resources))
	}
	for name, resource := range p.Resources {
		spec, found := translated.Resources[toToken(resource.Type)]
		if resource.Type == "pulumi:providers:brane" {
			spec, found = *translated.Provider, true
		}
		if !found {
			t.Errorf("%s: there is no resource %s", name, resource.Type)
		}
		checkProperties(t, translated, name, resource.Properties, spec.InputProperties)
	}
}

// checkProperties checks that the values of properties have the names and types of a schema.
func checkProperties(t *testing.T, translated schema.PackageSpec, path string, values map[string]any, properties map[string]schema.PropertySpec) {
	t.Helper()
	for name, value := range values {
		property, found := properties[name]
		if !found {
			t.Errorf("%s has no property %s", path, name)
			continue
		}
		checkValue(t, translated, path+"."+name, value, property.TypeSpec)
	}
}

func checkValue(t *testing.T, translated schema.PackageSpec, path string, value any, of schema.TypeSpec) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		if of.AdditionalProperties == nil {
			checkProperties(t, translated, path, value, translated.Types[strings.TrimPrefix(of.Ref, "#/types/")].Properties)
			return
		}
		for key, element := range value {
			checkValue(t, translated, path+"."+key, element, *of.AdditionalProperties)
		}
	case []any:
		if of.Items == nil {
			t.Errorf("%s is not a list", path)
			return
		}
		for _, element := range value {
			checkValue(t, translated, path, element, *of.Items)
		}
	case string:
		if of.Type != "string" {
			t.Errorf("%s is not a string", path)
		}
	}
}

// toToken returns the full token of a type in a program.
func toToken(short string) string {
	_, name, _ := strings.Cut(short, ":")
	return "brane:index/" + strings.ToLower(name[:1]) + name[1:] + ":" + name
}

// TestProgramRuns creates the resources of the program of the guide with the plugin, in the way of Pulumi's engine, finds no difference after a refresh, and
// deletes them.
func TestProgramRuns(t *testing.T) {
	plugin := startPlugin(t)
	p := readProgram(t, "brane-demo", "brane-pulumi-"+strings.ToLower(rand.Text()[:8]), "busybox:1.37", getenv(t, "BRANE_TOOLS_IMAGE"))
	connections := toStruct(t, map[string]any{
		"agentImage": getenv(t, "BRANE_AGENT_IMAGE"),
		"kubernetes": map[string]any{"configPath": getenv(t, "KUBECONFIG")},
		"redis":      map[string]any{"url": getenv(t, "BRANE_REDIS_URL"), "podUrl": getenv(t, "BRANE_REDIS_POD_URL")},
	})
	checked, err := plugin.CheckConfig(t.Context(), &pulumirpc.CheckRequest{Urn: toURN("pulumi:providers:brane", "brane"), News: connections})
	noError(t, err)
	failOn(t, "brane", checked.GetFailures())
	_, err = plugin.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: checked.GetInputs()})
	noError(t, err)

	created := map[string]any{}
	for _, name := range []string{"demo", "hello"} { // the second refers to the first
		resource := p.Resources[name]
		urn := toURN(toToken(resource.Type), name)
		inputs, err := plugin.Check(t.Context(), &pulumirpc.CheckRequest{Urn: urn, News: toStruct(t, resolve(t, resource.Properties, created)), RandomSeed: []byte(name)})
		noError(t, err)
		failOn(t, name, inputs.GetFailures())
		response, err := plugin.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn, Properties: inputs.GetInputs()})
		noError(t, err)
		t.Cleanup(func() {
			_, err := plugin.Delete(context.Background(), &pulumirpc.DeleteRequest{Id: response.GetId(), Urn: urn, Properties: response.GetProperties()})
			noError(t, err)
		})
		if id := response.GetId(); (id == "missing ID") != (name == "demo") { // the guide says which resources have an ID
			t.Errorf("%s has the ID %q", name, id)
		}
		created[name] = response.GetProperties().AsMap()
		refreshed, err := plugin.Read(t.Context(), &pulumirpc.ReadRequest{
			Id: response.GetId(), Urn: urn, Properties: response.GetProperties(), Inputs: inputs.GetInputs(),
		})
		noError(t, err)
		difference, err := plugin.Diff(t.Context(), &pulumirpc.DiffRequest{
			Id: response.GetId(), Urn: urn, Olds: refreshed.GetProperties(), News: inputs.GetInputs(), OldInputs: refreshed.GetInputs(),
		})
		noError(t, err)
		if difference.GetChanges() != pulumirpc.DiffResponse_DIFF_NONE {
			t.Errorf("%s has the differences %v", name, difference.GetDetailedDiff())
		}
	}
	want := map[string]string{"greeting": "Hello\n"}
	got := map[string]string{}
	for name, value := range p.Outputs {
		got[name], _ = resolve(t, value, created).(string)
	}
	if !maps.Equal(want, got) {
		t.Errorf("the outputs are %q, want %q", got, want)
	}
}

// reference is a value that is an attribute of a resource.
var reference = regexp.MustCompile(`^\$\{(.+)\}$`)

// resolve replaces the references in a value.
func resolve(t *testing.T, value any, created map[string]any) any {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		resolved := map[string]any{}
		for key, element := range value {
			resolved[key] = resolve(t, element, created)
		}
		return resolved
	case []any:
		resolved := slices.Clone(value)
		for i := range resolved {
			resolved[i] = resolve(t, resolved[i], created)
		}
		return resolved
	case string:
		match := reference.FindStringSubmatch(value)
		if match == nil {
			return value
		}
		var found any = created
		for _, name := range strings.FieldsFunc(match[1], func(r rune) bool { return strings.ContainsRune(`.[]"`, r) }) {
			inner, isObject := found.(map[string]any)
			if !isObject || inner[name] == nil {
				t.Fatalf("%s refers to nothing: there is no %s", value, name)
			}
			found = inner[name]
		}
		return found
	default:
		return value
	}
}

func toStruct(t *testing.T, value any) *structpb.Struct {
	t.Helper()
	object, isObject := value.(map[string]any)
	if !isObject {
		t.Fatalf("%v is not an object", value)
	}
	converted, err := structpb.NewStruct(object)
	noError(t, err)
	return converted
}

func toURN(kind, name string) string { return "urn:pulumi:test::test::" + kind + "::" + name }

func failOn(t *testing.T, name string, failures []*pulumirpc.CheckFailure) {
	t.Helper()
	for _, failure := range failures {
		t.Errorf("%s.%s: %s", name, failure.GetProperty(), failure.GetReason())
	}
	if t.Failed() {
		t.FailNow()
	}
}

// getenv returns a variable of the environment of the test cluster.
func getenv(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set; make test-pulumi starts the test cluster and sets it", name)
	}
	return value
}
