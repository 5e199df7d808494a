package pulumi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

const page = "templates/guides/pulumi.md.tmpl"

// TestTranslation compares the schema that Pulumi's plugin translates with the schemas of the provider: each resource, data source and function, and each attribute
// has a token or a property with the name, the type and the secrecy that the guide on Pulumi describes.
func TestTranslation(t *testing.T) {
	translated, p := readTranslation(t, startPlugin(t)), readProvider(t)
	c := comparison{T: t, types: translated.Types, usedTypes: map[string]bool{}, renamed: readTable(t, "Terraform"), usedNames: map[string]bool{}}

	used := map[string]bool{}
	for name, resource := range p.ResourceSchemas {
		token := "brane:index/" + toCamel(strip(name)) + ":" + toPascal(strip(name))
		spec, found := translated.Resources[token]
		if !found {
			t.Errorf("there is no resource %s", token)
			continue
		}
		used[token] = true
		c.compareObject(token, resource.Block.Attributes, spec.Properties, isAny)
		c.compareObject(token+" inputs", resource.Block.Attributes, spec.InputProperties, isInput)
		c.compareRequired(token+" inputs", resource.Block.Attributes, spec.RequiredInputs)
	}
	for name, source := range p.DataSourceSchemas {
		token := "brane:index/get" + toPascal(strip(name)) + ":get" + toPascal(strip(name))
		spec, found := translated.Functions[token]
		if !found || spec.ReturnType == nil || spec.ReturnType.ObjectTypeSpec == nil {
			t.Errorf("there is no function %s with outputs", token)
			continue
		}
		used[token] = true
		inputs := schema.ObjectTypeSpec{} // of a data source that only has outputs
		if spec.Inputs != nil {
			inputs = *spec.Inputs
		}
		c.compareObject(token, source.Block.Attributes, spec.ReturnType.ObjectTypeSpec.Properties, isAny)
		c.compareObject(token+" inputs", source.Block.Attributes, inputs.Properties, isInput)
		c.compareRequired(token+" inputs", source.Block.Attributes, inputs.Required)
	}
	for name, function := range p.Functions {
		token := "brane:index/" + toCamel(name) + ":" + toCamel(name)
		spec, found := translated.Functions[token]
		if !found || spec.Inputs == nil || spec.ReturnType == nil || spec.ReturnType.TypeSpec == nil {
			t.Errorf("there is no function %s with arguments and a result", token)
			continue
		}
		used[token] = true
		var names []string
		for _, parameter := range function.Parameters {
			names = append(names, toCamel(parameter.Name))
			c.compareType(token+" "+parameter.Name, parameter.Type, spec.Inputs.Properties[toCamel(parameter.Name)].TypeSpec)
		}
		c.compareType(token+" result", function.ReturnType, *spec.ReturnType.TypeSpec)
		if !slices.Equal(names, spec.MultiArgumentInputs) {
			t.Errorf("%s has the arguments %q, want %q", token, spec.MultiArgumentInputs, names)
		}
	}
	c.compareObject("provider", p.Provider.Block.Attributes, translated.Provider.InputProperties, isInput)
	c.compareObject("config", p.Provider.Block.Attributes, translated.Config.Variables, isInput)

	for token := range translated.Resources {
		if !used[token] {
			t.Errorf("the resource %s is of no resource of the provider", token)
		}
	}
	for token := range translated.Functions {
		if !used[token] && token != configToken {
			t.Errorf("%s is no data source or function of the provider", token)
		}
	}
	c.checkTypes()
	for name := range c.renamed {
		if !c.usedNames[name] {
			t.Errorf("%s: no attribute %s has the name %s", page, name, c.renamed[name])
		}
	}
}

// configToken is a method of each provider, which the bridge adds.
const configToken = "pulumi:providers:brane/terraformConfig"

// TestUntranslated checks that the guide names everything that Pulumi has no counterpart for, and nothing else.
func TestUntranslated(t *testing.T) {
	p := readProvider(t)
	var want []string
	for kind, blocks := range map[string]map[string]block{"ephemeral resource": p.EphemeralResources, "list resource": p.ListResources, "action": p.Actions} {
		for name := range blocks {
			want = append(want, kind+" "+name)
		}
	}
	var got []string
	for name, kind := range readTable(t, "Not in Pulumi") {
		got = append(got, kind+" "+name)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("%s lists %q, want %q", page, got, want)
	}
}

// readTable returns the first two columns of a table of the guide, whose first column has this title.
func readTable(t *testing.T, title string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n| "+title+" |")
	if !found {
		t.Fatalf("%s has no table %s", page, title)
	}
	rows := map[string]string{}
	for i, line := range strings.Split(table, "\n") {
		if i < 2 {
			continue // the title, and the line below it
		}
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			break
		}
		for _, name := range strings.Split(cells[1], ",") {
			rows[strings.Trim(name, " `")] = strings.Trim(cells[2], " `")
		}
	}
	return rows
}

// comparison compares schemas of the provider with the translated ones.
type comparison struct {
	*testing.T
	types     map[string]schema.ComplexTypeSpec
	usedTypes map[string]bool
	renamed   map[string]string // names of lists and sets that the guide describes
	usedNames map[string]bool
}

func isAny(attribute) bool { return true }

func isInput(a attribute) bool { return a.Required || a.Optional }

var (
	propertyName = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	typeName     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`) // lower case for outputs of functions and for the configuration
)

// compareObject compares the selected attributes of an object with its properties.
func (c comparison) compareObject(path string, attributes map[string]attribute, properties map[string]schema.PropertySpec, isSelected func(attribute) bool) {
	c.Helper()
	used := map[string]bool{}
	for name, a := range attributes {
		if !isSelected(a) {
			continue
		}
		want := toCamel(name)
		if renamed := c.renamed[name]; renamed != "" && a.isList() {
			want = renamed
			c.usedNames[name] = true
		}
		property, found := properties[want]
		if !found {
			if want != "id" { // which every resource has
				c.Errorf("%s: the attribute %s has no property %s", path, name, want)
			}
			continue
		}
		used[want] = true
		if !propertyName.MatchString(want) || slices.Contains([]string{"urn", "pulumi"}, want) {
			c.Errorf("%s: %s is no name for a property", path, want)
		}
		if property.Secret != (a.Sensitive || a.WriteOnly) {
			c.Errorf("%s.%s: secret is %t", path, want, property.Secret)
		}
		c.compareAttribute(path+"."+want, a, property.TypeSpec)
	}
	for name := range properties {
		if !used[name] && name != "id" {
			c.Errorf("%s: the property %s is of no attribute", path, name)
		}
	}
}

// compareRequired compares the required attributes with the required properties. Pulumi generates a name if there is none.
func (c comparison) compareRequired(path string, attributes map[string]attribute, required []string) {
	c.Helper()
	for name, a := range attributes {
		if a.Required != slices.Contains(required, toCamel(name)) && name != "name" && !a.isList() {
			c.Errorf("%s: %s is required in one of the schemas", path, name)
		}
	}
}

func (a attribute) isList() bool {
	if a.NestedType != nil {
		return a.NestedType.NestingMode == "list" || a.NestedType.NestingMode == "set"
	}
	kind, _ := decodeType(a.Type)
	return kind == "list" || kind == "set"
}

func (c comparison) compareAttribute(path string, a attribute, got schema.TypeSpec) {
	c.Helper()
	if a.NestedType == nil {
		c.compareType(path, a.Type, got)
		return
	}
	switch a.NestedType.NestingMode {
	case "list", "set":
		if got.Type != "array" || got.Items == nil {
			c.Errorf("%s is no array", path)
			return
		}
		got = *got.Items
	case "map":
		if got.Type != "object" || got.AdditionalProperties == nil {
			c.Errorf("%s is no map", path)
			return
		}
		got = *got.AdditionalProperties
	}
	if properties := c.findType(path, got); properties != nil {
		c.compareObject(path, a.NestedType.Attributes, properties, isAny)
	}
}

// findType returns the properties of a type of the package.
func (c comparison) findType(path string, reference schema.TypeSpec) map[string]schema.PropertySpec {
	c.Helper()
	token := strings.TrimPrefix(reference.Ref, "#/types/")
	found, ok := c.types[token]
	if !ok {
		c.Errorf("%s has the type %q, which is not in the package", path, reference.Ref)
		return nil
	}
	c.usedTypes[token] = true
	return found.Properties
}

// compareType compares a type without attributes of its own.
func (c comparison) compareType(path string, want json.RawMessage, got schema.TypeSpec) {
	c.Helper()
	kind, element := decodeType(want)
	switch kind {
	case "string":
		c.expectType(path, "string", got.Type)
	case "bool":
		c.expectType(path, "boolean", got.Type)
	case "number":
		c.expectType(path, "number", got.Type)
	case "dynamic":
		c.expectType(path, "pulumi.json#/Any", got.Ref)
	case "list", "set":
		c.expectType(path, "array", got.Type)
		if got.Items != nil {
			c.compareType(path+"[]", element, *got.Items)
		}
	case "map":
		c.expectType(path, "object", got.Type)
		if got.AdditionalProperties != nil {
			c.compareType(path+"{}", element, *got.AdditionalProperties)
		}
	default:
		c.Errorf("%s: the test does not know the type %s", path, want)
	}
}

func (c comparison) expectType(path, want, got string) {
	c.Helper()
	if want != got {
		c.Errorf("%s has the type %q, want %q", path, got, want)
	}
}

// decodeType returns the kind of a type, and the type of its elements if it has any.
func decodeType(text json.RawMessage) (kind string, element json.RawMessage) {
	if json.Unmarshal(text, &kind) == nil {
		return kind, nil
	}
	var pair []json.RawMessage
	if json.Unmarshal(text, &pair) != nil || len(pair) != 2 || json.Unmarshal(pair[0], &kind) != nil {
		return string(text), nil
	}
	return kind, pair[1]
}

// checkTypes checks that the types have usable names, which also differ on a file system that ignores case, and that each is used.
func (c comparison) checkTypes() {
	c.Helper()
	seen := map[string]string{}
	for token := range c.types {
		_, name, _ := strings.Cut(strings.TrimPrefix(token, "brane:"), ":")
		if !typeName.MatchString(name) || len(name) > 100 {
			c.Errorf("%s is no name for a type", token)
		}
		if other := seen[strings.ToLower(token)]; other != "" {
			c.Errorf("%s and %s are the same name", token, other)
		}
		seen[strings.ToLower(token)] = token
		if !c.usedTypes[token] {
			c.Errorf("nothing has the type %s", token)
		}
	}
}

// strip removes the name of the provider.
func strip(name string) string { return strings.TrimPrefix(name, "brane_") }

// toCamel returns the name of a property for that of an attribute.
func toCamel(name string) string {
	pascal := toPascal(name)
	return strings.ToLower(pascal[:1]) + pascal[1:]
}

// toPascal returns the name of a type for that of a resource.
func toPascal(name string) string {
	var b strings.Builder
	for _, word := range strings.Split(name, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
