package attribute

import (
	"context"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Conversions between values of Terraform, which can be null or unknown, and of Go.

// DecodeObject decodes an object into a struct. A null or unknown object leaves the zero values of the struct, which mean not set.
func DecodeObject(ctx context.Context, object types.Object, into any, diags *diag.Diagnostics) bool {
	if object.IsNull() || object.IsUnknown() {
		return true
	}
	found := object.As(ctx, into, basetypes.ObjectAsOptions{})
	diags.Append(found...)
	return !found.HasError()
}

// HasUnknown reports whether a part of the value is not known before apply.
func HasUnknown(value attr.Value) bool {
	if value.IsUnknown() {
		return true
	}
	var parts []attr.Value
	switch v := value.(type) {
	case types.Object:
		for _, part := range v.Attributes() {
			parts = append(parts, part)
		}
	case types.Map:
		for _, part := range v.Elements() {
			parts = append(parts, part)
		}
	case types.List:
		parts = v.Elements()
	case types.Set:
		parts = v.Elements()
	case types.Tuple:
		parts = v.Elements()
	case types.Dynamic:
		return v.UnderlyingValue() != nil && HasUnknown(v.UnderlyingValue())
	}
	for _, part := range parts {
		if HasUnknown(part) {
			return true
		}
	}
	return false
}

// NullOf returns null of the type of a value.
func NullOf(ctx context.Context, value attr.Value) attr.Value {
	return newValue(ctx, value.Type(ctx), nil)
}

// UnknownOf returns the unknown value of a type.
func UnknownOf(ctx context.Context, typ attr.Type) attr.Value {
	return newValue(ctx, typ, tftypes.UnknownValue)
}

func newValue(ctx context.Context, typ attr.Type, is any) attr.Value {
	value, err := typ.ValueFromTerraform(ctx, tftypes.NewValue(typ.TerraformType(ctx), is))
	if err != nil {
		panic(err) // every type has null, and an unknown value
	}
	return value
}

// TimeOrNull formats a time; the zero time becomes null.
func TimeOrNull(t time.Time) types.String {
	if t.IsZero() {
		return types.StringNull()
	}
	return types.StringValue(t.UTC().Format(time.RFC3339))
}

// StringOrNull converts a string; the empty string becomes null.
func StringOrNull(s string) types.String {
	if s == "" {
		return types.StringNull()
	}
	return types.StringValue(s)
}

// FormatDuration writes a duration as a user does, without units that are zero, for example `1h`.
func FormatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// DurationOrZero converts a duration; null and unknown become zero.
func DurationOrZero(value timetypes.GoDuration, diags *diag.Diagnostics) time.Duration {
	if value.IsNull() || value.IsUnknown() {
		return 0
	}
	d, found := value.ValueGoDuration()
	diags.Append(found...)
	return d
}
