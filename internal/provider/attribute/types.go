package attribute

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
)

// FixTypes sets the type of each nested attribute, at any depth. Otherwise the framework derives it from the attributes each time it visits a value, which takes
// half of the processor time of a plan with many steps (BenchmarkPlan in package workflowrun).
func FixTypes(attributes map[string]schema.Attribute) map[string]schema.Attribute {
	for name, of := range attributes {
		switch of := of.(type) {
		case schema.SingleNestedAttribute:
			FixTypes(of.Attributes)
			of.CustomType, _ = of.GetType().(basetypes.ObjectTypable)
			attributes[name] = of
		case schema.MapNestedAttribute:
			fixObjectType(&of.NestedObject)
			of.CustomType, _ = of.GetType().(basetypes.MapTypable)
			attributes[name] = of
		case schema.ListNestedAttribute:
			fixObjectType(&of.NestedObject)
			of.CustomType, _ = of.GetType().(basetypes.ListTypable)
			attributes[name] = of
		case schema.SetNestedAttribute:
			fixObjectType(&of.NestedObject)
			of.CustomType, _ = of.GetType().(basetypes.SetTypable)
			attributes[name] = of
		}
	}
	return attributes
}

func fixObjectType(object *schema.NestedAttributeObject) {
	FixTypes(object.Attributes)
	object.CustomType = object.Type()
}
