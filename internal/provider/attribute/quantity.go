package attribute

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

var (
	_ basetypes.StringTypable                    = QuantityType{}
	_ basetypes.StringValuableWithSemanticEquals = Quantity{}
)

// QuantityType is the type of Kubernetes quantities, for which "1000m" and "1" are equal and "lots" is invalid.
type QuantityType struct{ basetypes.StringType }

// Quantity is a value of [QuantityType], as written in the configuration.
type Quantity struct{ basetypes.StringValue }

// String implements [attr.Type].
func (QuantityType) String() string { return "quantity" }

// Equal implements [attr.Type].
func (t QuantityType) Equal(other attr.Type) bool {
	o, ok := other.(QuantityType)
	return ok && t.StringType.Equal(o.StringType)
}

// ValueType implements [attr.Type].
func (QuantityType) ValueType(context.Context) attr.Value { return Quantity{} }

// ValueFromString implements [basetypes.StringTypable].
func (QuantityType) ValueFromString(_ context.Context, in basetypes.StringValue) (basetypes.StringValuable, diag.Diagnostics) {
	return Quantity{in}, nil
}

// ValueFromTerraform implements [attr.Type].
func (t QuantityType) ValueFromTerraform(ctx context.Context, in tftypes.Value) (attr.Value, error) {
	value, err := t.StringType.ValueFromTerraform(ctx, in)
	if err != nil {
		return nil, err
	}
	text, ok := value.(basetypes.StringValue)
	if !ok {
		return nil, fmt.Errorf("a quantity came as %T", value)
	}
	return Quantity{text}, nil
}

// Type implements [attr.Value].
func (Quantity) Type(context.Context) attr.Type { return QuantityType{} }

// Equal implements [attr.Value].
func (q Quantity) Equal(other attr.Value) bool {
	o, ok := other.(Quantity)
	return ok && q.StringValue.Equal(o.StringValue)
}

// StringSemanticEquals implements [basetypes.StringValuableWithSemanticEquals].
func (q Quantity) StringSemanticEquals(_ context.Context, other basetypes.StringValuable) (bool, diag.Diagnostics) {
	o, ok := other.(Quantity)
	return ok && q.isEqual(o), nil
}

// isEqual reports whether two quantities are equal.
func (q Quantity) isEqual(other Quantity) bool {
	if q.IsNull() || q.IsUnknown() || other.IsNull() || other.IsUnknown() {
		return q.Equal(other)
	}
	a, errA := ParseQuantity(q.ValueString())
	b, errB := ParseQuantity(other.ValueString())
	return errA == nil && errB == nil && a.Cmp(b) == 0
}

// exponent matches the exponent of a quantity such as 1e3.
var exponent = regexp.MustCompile(`[eE][+-]?([0-9]+)$`)

// maxExponent is beyond every quantity that the API can hold.
const maxExponent = 18

// ParseQuantity parses a quantity as the API server does. It refuses exponents that no value of the API has, with which the library would
// compare for minutes.
func ParseQuantity(text string) (resource.Quantity, error) {
	if found := exponent.FindStringSubmatch(text); found != nil {
		if size, err := strconv.Atoi(found[1]); err != nil || size > maxExponent {
			return resource.Quantity{}, resource.ErrNumeric
		}
	}
	return resource.ParseQuantity(text)
}

// ToAPI returns the quantity for the API. name is the name of the resource, for errors.
func (q Quantity) ToAPI(name string, diags *diag.Diagnostics) resource.Quantity {
	value, err := ParseQuantity(q.ValueString())
	if err != nil { // it was not known during validation
		diags.AddError("Invalid quantity", fmt.Sprintf("%s = %q: it should be for example 2, 500m, 64Mi or 1.5Gi.", name, q.ValueString()))
	}
	return value
}

// ValidByteSize validates an amount of bytes, such as the size of a volume. It is a validator of attributes, because the framework does not
// call those of types.
var ValidByteSize = NewStringRule("quantity", func(text string) []string {
	if problem := amountProblem(string(corev1.ResourceStorage), text, ContainerResources); problem != "" {
		return []string{problem}
	}
	return nil
})

// NewQuantities returns an attribute that maps names of resources to quantities. Equal quantities in another notation are not a change.
func NewQuantities(description string, use ResourceUse) schema.MapAttribute {
	return schema.MapAttribute{
		MarkdownDescription: description,
		ElementType:         QuantityType{},
		Optional:            true,
		Validators:          []validator.Map{resourceAmounts{use}},
		PlanModifiers:       []planmodifier.Map{keepEqualQuantities{}},
	}
}

type keepEqualQuantities struct{}

func (keepEqualQuantities) Description(context.Context) string {
	return "Equal quantities in another notation are not a change."
}
func (m keepEqualQuantities) MarkdownDescription(ctx context.Context) string {
	return m.Description(ctx)
}

func (keepEqualQuantities) PlanModifyMap(_ context.Context, req planmodifier.MapRequest, resp *planmodifier.MapResponse) {
	planned, before := req.PlanValue.Elements(), req.StateValue.Elements()
	if req.PlanValue.IsUnknown() || req.PlanValue.IsNull() || len(planned) != len(before) {
		return
	}
	for name, value := range planned {
		a, okA := value.(Quantity)
		b, okB := before[name].(Quantity)
		if !okA || !okB || !a.isEqual(b) {
			return
		}
	}
	resp.PlanValue = req.StateValue
}

// ToResourceList converts validated quantities to the type of the API.
func ToResourceList(quantities map[string]Quantity, diags *diag.Diagnostics) corev1.ResourceList {
	if len(quantities) == 0 {
		return nil
	}
	list := corev1.ResourceList{}
	for name, q := range quantities {
		list[corev1.ResourceName(name)] = q.ToAPI(name, diags)
	}
	return list
}

// FromResourceList converts the type of the API to quantities; an empty list becomes null.
func FromResourceList(list corev1.ResourceList) map[string]Quantity {
	if len(list) == 0 {
		return nil
	}
	quantities := map[string]Quantity{}
	for name, value := range list {
		quantities[string(name)] = Quantity{basetypes.NewStringValue(value.String())}
	}
	return quantities
}
