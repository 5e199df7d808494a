package acctest

import (
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// PlanUpdate plans a change of a resource that exists.
func (s *Protocol) PlanUpdate(name string, prior tftypes.Value, private []byte, config Object) *tfprotov6.PlanResourceChangeResponse {
	s.T.Helper()
	schema := s.Schemas.ResourceSchemas[name]
	typ := schema.ValueType()
	given := NewValue(typ, config)
	resp, err := s.PlanResourceChange(s.Context, &tfprotov6.PlanResourceChangeRequest{
		TypeName: name, Config: s.EncodeValue(typ, given), PriorState: s.EncodeValue(typ, prior), PriorPrivate: private,
		ProposedNewState: s.EncodeValue(typ, s.propose(schema.Block.Attributes, given, prior)),
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return resp
}

// propose returns what a CLI proposes as the new state: the configuration, without write-only values, and with the prior values of computed attributes that are
// not configured.
func (s *Protocol) propose(attributes []*tfprotov6.SchemaAttribute, given, prior tftypes.Value) tftypes.Value {
	if given.IsNull() || !given.IsKnown() {
		return given
	}
	values, before := s.elements(given), s.elements(prior)
	for _, attribute := range attributes {
		value, was := values[attribute.Name], before[attribute.Name]
		switch {
		case attribute.WriteOnly:
			value = tftypes.NewValue(value.Type(), nil)
		case value.IsNull() && attribute.Computed && was.Type() != nil:
			value = was
		case attribute.NestedType != nil && attribute.NestedType.Nesting == tfprotov6.SchemaObjectNestingModeMap && !value.IsNull() && value.IsKnown():
			each, wasEach := s.elements(value), map[string]tftypes.Value{}
			if was.Type() != nil {
				wasEach = s.elements(was)
			}
			for key, element := range each {
				each[key] = s.propose(attribute.NestedType.Attributes, element, wasEach[key])
			}
			value = tftypes.NewValue(value.Type(), each)
		}
		values[attribute.Name] = value
	}
	return tftypes.NewValue(given.Type(), values)
}

// elements returns the elements of an object or a map; none of null.
func (s *Protocol) elements(value tftypes.Value) map[string]tftypes.Value {
	s.T.Helper()
	found := map[string]tftypes.Value{}
	if value.Type() == nil || value.IsNull() || !value.IsKnown() {
		return found
	}
	if err := value.As(&found); err != nil {
		s.T.Fatal(err)
	}
	return maps.Clone(found)
}

// ListUnknown returns the names of the elements of an object or a map that are not known, sorted.
func (s *Protocol) ListUnknown(value tftypes.Value) []string {
	s.T.Helper()
	var names []string
	for name, element := range s.elements(value) {
		if !element.IsFullyKnown() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
