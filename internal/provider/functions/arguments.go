// Package functions implements the functions that render configuration files of Brane.
package functions

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// objectFields returns the fields of an object or a map in a function's dynamic argument; false if it is neither. Objects are dynamic because the type of a function's
// argument does not support optional attributes.
func objectFields(value attr.Value) (map[string]attr.Value, bool) {
	switch v := value.(type) {
	case types.Dynamic:
		return objectFields(v.UnderlyingValue())
	case types.Object:
		return v.Attributes(), true
	case types.Map:
		return v.Elements(), true
	default:
		return nil, false
	}
}

// record reads an object of a function's argument. It keeps the first problem that it finds.
type record struct {
	what    string // `location "compute"`
	fields  map[string]attr.Value
	problem error
}

// newRecord returns a record of an object that may only have the known fields.
func newRecord(what string, value attr.Value, known ...string) *record {
	r := &record{what: what}
	var ok bool
	if r.fields, ok = objectFields(value); !ok {
		r.problem = fmt.Errorf("%s is not an object", what)
	}
	for _, name := range slices.Sorted(maps.Keys(r.fields)) {
		if !slices.Contains(known, name) && r.problem == nil {
			r.problem = fmt.Errorf("%s has no attribute %q; it may have %s", what, name, strings.Join(known, ", "))
		}
	}
	return r
}

func (r *record) addProblem(name, what string) {
	if r.problem == nil {
		r.problem = fmt.Errorf("%s of %s must be %s", name, r.what, what)
	}
}

// readString returns the string of a field; empty if it is missing or null.
func (r *record) readString(name string) string {
	value, ok := r.fields[name]
	if !ok || value.IsNull() {
		return ""
	}
	text, ok := value.(types.String)
	if !ok {
		r.addProblem(name, "a string")
	}
	return text.ValueString()
}

// readBool returns the boolean of a field; nil if it is missing or null.
func (r *record) readBool(name string) *bool {
	value, ok := r.fields[name]
	if !ok || value.IsNull() {
		return nil
	}
	boolean, ok := value.(types.Bool)
	if !ok {
		r.addProblem(name, "true or false")
	}
	return boolean.ValueBoolPointer()
}

// readStrings returns the list of strings of a field.
func (r *record) readStrings(name string) []string {
	value, ok := r.fields[name]
	if !ok || value.IsNull() {
		return nil
	}
	var elements []attr.Value
	switch list := value.(type) {
	case types.Tuple:
		elements = list.Elements()
	case types.List:
		elements = list.Elements()
	case types.Set:
		elements = list.Elements()
	default:
		r.addProblem(name, "a list of strings")
	}
	texts := make([]string, len(elements))
	for i, element := range elements {
		text, ok := element.(types.String)
		switch {
		case element.IsNull():
			r.addProblem(name, "a list of strings without null")
		case !ok:
			r.addProblem(name, "a list of strings")
		}
		texts[i] = text.ValueString()
	}
	return texts
}
