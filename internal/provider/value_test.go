package provider_test

import "github.com/hashicorp/terraform-plugin-go/tftypes"

// object is a value by its attributes: those that are left out are null. Beside objects there are strings, booleans, lists and maps.
type object map[string]any

// notKnown is a value that is known only after apply.
var notKnown = struct{ unknown bool }{true}

// build makes a value of the type from Go's.
func build(typ tftypes.Type, from any) tftypes.Value {
	switch from {
	case nil:
		return tftypes.NewValue(typ, nil)
	case any(notKnown):
		return tftypes.NewValue(typ, tftypes.UnknownValue)
	}
	fields, _ := from.(object)
	elements, _ := from.([]any)
	switch typ := typ.(type) {
	case tftypes.Object:
		values := map[string]tftypes.Value{}
		for name, attribute := range typ.AttributeTypes {
			values[name] = build(attribute, fields[name])
		}
		return tftypes.NewValue(typ, values)
	case tftypes.Map:
		values := map[string]tftypes.Value{}
		for name, field := range fields {
			values[name] = build(typ.ElementType, field)
		}
		return tftypes.NewValue(typ, values)
	case tftypes.List:
		return tftypes.NewValue(typ, buildAll(typ.ElementType, elements))
	case tftypes.Set:
		return tftypes.NewValue(typ, buildAll(typ.ElementType, elements))
	default:
		return tftypes.NewValue(typ, from)
	}
}

func buildAll(typ tftypes.Type, from []any) []tftypes.Value {
	values := make([]tftypes.Value, len(from))
	for i, element := range from {
		values[i] = build(typ, element)
	}
	return values
}
