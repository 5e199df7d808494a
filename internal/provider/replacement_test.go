package provider_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

// TestReplacementIsDescribed walks the schemas of all resources: the description of an attribute says that a change forces a new resource if, and only if,
// its plan modifiers demand it.
func TestReplacementIsDescribed(t *testing.T) {
	const sentence = "Changing this forces a new resource."
	described := 0
	for _, create := range provider.New("test")().Resources(t.Context()) {
		r := create()
		var metadata resource.MetadataResponse
		r.Metadata(t.Context(), resource.MetadataRequest{ProviderTypeName: "brane"}, &metadata)
		if metadata.TypeName == "brane_workflow_run" {
			continue // its id, which ModifyPlan computes, decides
		}
		var answer resource.SchemaResponse
		r.Schema(t.Context(), resource.SchemaRequest{}, &answer)
		eachAttribute(metadata.TypeName, answer.Schema.Attributes, func(name string, attribute schema.Attribute) {
			want := requiresReplace(t.Context(), attribute)
			if got := strings.Contains(attribute.GetMarkdownDescription(), sentence); got != want {
				t.Errorf("%s: a change replaces the resource: %t; the description says so: %t", name, want, got)
			}
			if want {
				described++
			}
		})
	}
	if described == 0 {
		t.Error("no attribute forces a new resource: the test does not recognise the plan modifiers any more")
	}
}

// eachAttribute calls visit for all attributes, also nested ones.
func eachAttribute(at string, attributes map[string]schema.Attribute, visit func(name string, attribute schema.Attribute)) {
	for name, attribute := range attributes {
		visit(at+"."+name, attribute)
		switch nested := attribute.(type) {
		case schema.SingleNestedAttribute:
			eachAttribute(at+"."+name, nested.Attributes, visit)
		case schema.MapNestedAttribute:
			eachAttribute(at+"."+name, nested.NestedObject.Attributes, visit)
		case schema.ListNestedAttribute:
			eachAttribute(at+"."+name, nested.NestedObject.Attributes, visit)
		case schema.SetNestedAttribute:
			eachAttribute(at+"."+name, nested.NestedObject.Attributes, visit)
		}
	}
}

// requiresReplace reports whether one of the plan modifiers of an attribute is the framework's RequiresReplace, which it recognises by its description.
func requiresReplace(ctx context.Context, attribute schema.Attribute) bool {
	modifiers := reflect.ValueOf(attribute).FieldByName("PlanModifiers")
	for i := range modifiers.Len() {
		modifier, ok := modifiers.Index(i).Interface().(interface{ Description(context.Context) string })
		if ok && strings.Contains(modifier.Description(ctx), "Terraform will destroy and recreate the resource") {
			return true
		}
	}
	return false
}
