package provider

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// fields takes an object or a map of a function's dynamic argument apart; false where it is neither. Objects are dynamic because the type of a function's
// argument knows no optional attributes.
func fields(value attr.Value) (map[string]attr.Value, bool) {
	switch v := value.(type) {
	case types.Dynamic:
		return fields(v.UnderlyingValue())
	case types.Object:
		return v.Attributes(), true
	case types.Map:
		return v.Elements(), true
	default:
		return nil, false
	}
}

// record reads an object of a function's argument. Whatever is wrong is remembered, the first thing counts.
type record struct {
	what    string // `location "compute"`
	fields  map[string]attr.Value
	problem error
}

// newRecord starts with an object that may have these fields and no others.
func newRecord(what string, value attr.Value, known ...string) *record {
	r := &record{what: what}
	var ok bool
	if r.fields, ok = fields(value); !ok {
		r.problem = fmt.Errorf("%s is not an object", what)
	}
	for _, name := range slices.Sorted(maps.Keys(r.fields)) {
		if !slices.Contains(known, name) && r.problem == nil {
			r.problem = fmt.Errorf("%s has no attribute %q; it may have %s", what, name, strings.Join(known, ", "))
		}
	}
	return r
}

func (r *record) wrong(name, what string) {
	if r.problem == nil {
		r.problem = fmt.Errorf("%s of %s must be %s", name, r.what, what)
	}
}

// text is a field's string; empty where it is left out or null.
func (r *record) text(name string) string {
	value, ok := r.fields[name]
	if !ok || value.IsNull() {
		return ""
	}
	text, ok := value.(types.String)
	if !ok {
		r.wrong(name, "a string")
	}
	return text.ValueString()
}

// truth is a field's truth value; nil where it is left out or null.
func (r *record) truth(name string) *bool {
	value, ok := r.fields[name]
	if !ok || value.IsNull() {
		return nil
	}
	truth, ok := value.(types.Bool)
	if !ok {
		r.wrong(name, "true or false")
	}
	return truth.ValueBoolPointer()
}

// texts is a field's list of strings.
func (r *record) texts(name string) []string {
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
		r.wrong(name, "a list of strings")
	}
	texts := make([]string, len(elements))
	for i, element := range elements {
		text, ok := element.(types.String)
		if !ok {
			r.wrong(name, "a list of strings")
		}
		texts[i] = text.ValueString()
	}
	return texts
}
