package attribute

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Decodable is a tfsdk.Config, a tfsdk.Plan or a tfsdk.State.
type Decodable interface {
	Get(ctx context.Context, into any) diag.Diagnostics
}

// Decode reads a configuration, a plan or a state into a model. It reports whether it succeeded; if not, the model must not be used.
func Decode(ctx context.Context, from Decodable, into any, diags *diag.Diagnostics) bool {
	if !CheckElements(from, diags) {
		return false
	}
	found := from.Get(ctx, into)
	diags.Append(found...)
	return !found.HasError()
}

// CheckElements adds an error for each null element of a list, set or map, and reports whether there is none. Terraform allows such elements, for example if a
// module passes an optional value on, but the models of elements cannot represent them, and a Kubernetes object cannot either.
func CheckElements(of Decodable, diags *diag.Diagnostics) bool {
	var raw tftypes.Value
	switch data := of.(type) {
	case tfsdk.Config:
		raw = data.Raw
	case tfsdk.Plan:
		raw = data.Raw
	case tfsdk.State:
		raw = data.Raw
	}
	var found diag.Diagnostics
	checkElements(raw, path.Empty(), "", &found)
	diags.Append(found...)
	return !found.HasError()
}

// checkElements checks the parts of a value. name is its path in messages, which differs from at below a set: a path would contain the whole element.
func checkElements(value tftypes.Value, at path.Path, name string, diags *diag.Diagnostics) {
	if value.IsNull() || !value.IsKnown() {
		return
	}
	checkElement := func(element tftypes.Value, at path.Path, name, remedy string, diags *diag.Diagnostics) {
		if element.IsNull() {
			diags.AddAttributeError(at, "Null element", fmt.Sprintf("%s is null. Set a value, or leave the element out: %s.", name, remedy))
			return
		}
		checkElements(element, at, name, diags)
	}
	const forList, forMap = "[for value in ... : value if value != null]", "{for key, value in ... : key => value if value != null}"
	var fields map[string]tftypes.Value
	var elements []tftypes.Value
	switch value.Type().(type) {
	case tftypes.Object:
		_ = value.As(&fields) // As fails only for another type
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			checkElements(fields[field], at.AtName(field), strings.TrimPrefix(name+"."+field, "."), diags)
		}
	case tftypes.Map:
		_ = value.As(&fields)
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			checkElement(fields[key], at.AtMapKey(key), fmt.Sprintf("%s[%q]", name, key), forMap, diags)
		}
	case tftypes.List:
		_ = value.As(&elements)
		for i, element := range elements {
			checkElement(element, at.AtListIndex(i), fmt.Sprintf("%s[%d]", name, i), forList, diags)
		}
	case tftypes.Set:
		_ = value.As(&elements)
		for _, element := range elements {
			var below diag.Diagnostics
			checkElement(element, at, name+"[*]", forList, &below)
			for _, found := range below {
				diags.AddAttributeError(at, found.Summary(), found.Detail())
			}
		}
	}
}
