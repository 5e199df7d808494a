package acctest

import "github.com/hashicorp/terraform-plugin-go/tftypes"

// Object is a value of an object by its attributes; others are null. Attributes can be objects, strings, booleans, lists and maps.
type Object map[string]any

// Unknown is a value that is known only after apply.
var Unknown = struct{ unknown bool }{true}

// NewValue converts a Go value to a value of the type.
func NewValue(typ tftypes.Type, from any) tftypes.Value {
	switch from {
	case nil:
		return tftypes.NewValue(typ, nil)
	case any(Unknown):
		return tftypes.NewValue(typ, tftypes.UnknownValue)
	}
	fields, _ := from.(Object)
	elements, _ := from.([]any)
	switch typ := typ.(type) {
	case tftypes.Object:
		values := map[string]tftypes.Value{}
		for name, attribute := range typ.AttributeTypes {
			values[name] = NewValue(attribute, fields[name])
		}
		return tftypes.NewValue(typ, values)
	case tftypes.Map:
		values := map[string]tftypes.Value{}
		for name, field := range fields {
			values[name] = NewValue(typ.ElementType, field)
		}
		return tftypes.NewValue(typ, values)
	case tftypes.List:
		return tftypes.NewValue(typ, newValues(typ.ElementType, elements))
	case tftypes.Set:
		return tftypes.NewValue(typ, newValues(typ.ElementType, elements))
	default:
		return tftypes.NewValue(typ, from)
	}
}

func newValues(typ tftypes.Type, from []any) []tftypes.Value {
	values := make([]tftypes.Value, len(from))
	for i, element := range from {
		values[i] = NewValue(typ, element)
	}
	return values
}
