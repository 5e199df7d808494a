package provider_test

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// life is one resource from plan to plan, as a CLI keeps it: what the provider answers is what it is asked with next.
type life struct {
	*speaker
	name     string // of the resource's type
	state    *tfprotov6.DynamicValue
	identity *tfprotov6.ResourceIdentityData
	private  []byte
}

func (s *speaker) life(name string) *life {
	return &life{speaker: s, name: name, state: s.null(s.schemas.ResourceSchemas[name])}
}

func (l *life) schema() *tfprotov6.Schema { return l.schemas.ResourceSchemas[l.name] }

// there says whether the state has the resource.
func (l *life) there() bool {
	l.t.Helper()
	value, err := l.state.Unmarshal(l.schema().ValueType())
	if err != nil {
		l.t.Fatal(err)
	}
	return !value.IsNull()
}

// is says whether the state is as it was.
func (l *life) is(before *tfprotov6.DynamicValue) bool {
	l.t.Helper()
	now, errNow := l.state.Unmarshal(l.schema().ValueType())
	then, errThen := before.Unmarshal(l.schema().ValueType())
	if errNow != nil || errThen != nil {
		l.t.Fatal(errNow, errThen)
	}
	return now.Equal(then)
}

// planned is what the provider plans for the configuration, and whether that changes anything.
func (l *life) planned(config object) (plan *tfprotov6.PlanResourceChangeResponse, changes bool) {
	l.t.Helper()
	given := l.null(l.schema())
	proposed := given
	if config != nil {
		given = l.value(l.schema(), config)
		proposed = l.proposed(given)
	}
	plan, err := l.PlanResourceChange(l.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: l.name, PriorState: l.state, Config: given, ProposedNewState: proposed, PriorPrivate: l.private, PriorIdentity: l.identity,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	if plan.PlannedState == nil {
		return plan, false
	}
	typ := l.schema().ValueType()
	before, errBefore := l.state.Unmarshal(typ)
	after, errAfter := plan.PlannedState.Unmarshal(typ)
	if errBefore != nil || errAfter != nil {
		l.t.Fatal(errBefore, errAfter)
	}
	return plan, !before.Equal(after)
}

// proposed is the configuration with what is computed and not set there taken from the state.
func (l *life) proposed(given *tfprotov6.DynamicValue) *tfprotov6.DynamicValue {
	l.t.Helper()
	typ := l.schema().ValueType()
	config := l.answer(l.schema(), given)
	if !l.there() {
		return given
	}
	state := l.answer(l.schema(), l.state)
	for _, attribute := range l.schema().Block.Attributes {
		if attribute.Computed && config[attribute.Name].IsNull() {
			config[attribute.Name] = state[attribute.Name]
		}
		if attribute.WriteOnly {
			config[attribute.Name] = tftypes.NewValue(attribute.ValueType(), nil)
		}
	}
	return l.encode(typ, tftypes.NewValue(typ, config))
}

// apply plans and applies; no configuration means destroy. What the provider says is returned, and its state is kept, also after an error.
func (l *life) apply(config object) []*tfprotov6.Diagnostic {
	l.t.Helper()
	plan, _ := l.planned(config)
	if failed(plan.Diagnostics) {
		return plan.Diagnostics
	}
	given := l.null(l.schema())
	if config != nil {
		given = l.value(l.schema(), config)
	}
	resp, err := l.ApplyResourceChange(l.t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: l.name, PriorState: l.state, PlannedState: plan.PlannedState, Config: given, PlannedPrivate: plan.PlannedPrivate, PlannedIdentity: plan.PlannedIdentity,
	})
	if err != nil {
		l.t.Fatal(err)
	}
	if resp.NewState != nil {
		l.state = resp.NewState
	}
	l.private, l.identity = resp.Private, resp.NewIdentity
	return append(plan.Diagnostics, resp.Diagnostics...)
}

func (l *life) refresh() []*tfprotov6.Diagnostic {
	l.t.Helper()
	resp, err := l.ReadResource(l.t.Context(), &tfprotov6.ReadResourceRequest{TypeName: l.name, CurrentState: l.state, Private: l.private, CurrentIdentity: l.identity})
	if err != nil {
		l.t.Fatal(err)
	}
	if failed(resp.Diagnostics) {
		return resp.Diagnostics
	}
	l.state, l.private, l.identity = resp.NewState, resp.Private, resp.NewIdentity
	return resp.Diagnostics
}

// imported starts a life by an import and the read that follows.
func (s *speaker) imported(name string, req tfprotov6.ImportResourceStateRequest) *life {
	s.t.Helper()
	req.TypeName = name
	resp, err := s.ImportResourceState(s.t.Context(), &req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ok(resp.Diagnostics)
	l := s.life(name)
	l.state, l.private, l.identity = resp.ImportedResources[0].State, resp.ImportedResources[0].Private, resp.ImportedResources[0].Identity
	s.ok(l.refresh())
	return l
}

// identified is the identity's attributes as text.
func (l *life) identified() string {
	l.t.Helper()
	if l.identity == nil || l.identity.IdentityData == nil {
		return "none"
	}
	schemas, err := l.GetResourceIdentitySchemas(l.t.Context(), &tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil {
		l.t.Fatal(err)
	}
	value, err := l.identity.IdentityData.Unmarshal(schemas.IdentitySchemas[l.name].ValueType())
	if err != nil {
		l.t.Fatal(err)
	}
	attributes := map[string]tftypes.Value{}
	if err := value.As(&attributes); err != nil {
		l.t.Fatal(err)
	}
	var parts []string
	for _, name := range []string{"cluster", "name"} {
		if !attributes[name].IsNull() {
			parts = append(parts, name+"="+l.text(attributes[name]))
		}
	}
	return strings.Join(parts, " ")
}

func failed(diagnostics []*tfprotov6.Diagnostic) bool {
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			return true
		}
	}
	return false
}
