package attribute

import (
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listdefault"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// NewDrift returns the attribute in which every resource lists the differences that Read found, one message per item. consequence is the sentence about
// what the next apply does. The planned value is always empty, so that any difference makes a plan that shows it.
func NewDrift(consequence string) schema.ListAttribute {
	return schema.ListAttribute{
		MarkdownDescription: "Differences found during the last refresh, one message per item. " + consequence,
		ElementType:         types.StringType,
		Computed:            true,
		Default:             listdefault.StaticValue(EmptyDrift()),
	}
}

// EmptyDrift returns the value without differences.
func EmptyDrift() types.List { return types.ListValueMust(types.StringType, []attr.Value{}) }

// DriftValue returns the value of the drift attribute.
func DriftValue(sentences []string) types.List {
	values := make([]attr.Value, len(sentences))
	for i, sentence := range sentences {
		values[i] = types.StringValue(sentence)
	}
	return types.ListValueMust(types.StringType, values)
}
