package acctest

import (
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// Lifecycle keeps the state of one resource from plan to plan, as a CLI does.
type Lifecycle struct {
	*Protocol
	TypeName string // of the resource's type
	State    *tfprotov6.DynamicValue
	Identity *tfprotov6.ResourceIdentityData
	Private  []byte
}

// NewLifecycle returns the lifecycle of a resource that does not exist yet.
func (s *Protocol) NewLifecycle(name string) *Lifecycle {
	return &Lifecycle{Protocol: s, TypeName: name, State: s.EncodeNull(s.Schemas.ResourceSchemas[name])}
}

// Schema returns the schema of the resource.
func (l *Lifecycle) Schema() *tfprotov6.Schema { return l.Schemas.ResourceSchemas[l.TypeName] }

// Exists reports whether the state has the resource.
func (l *Lifecycle) Exists() bool {
	l.T.Helper()
	value, err := l.State.Unmarshal(l.Schema().ValueType())
	if err != nil {
		l.T.Fatal(err)
	}
	return !value.IsNull()
}

// HasState reports whether the state is the same as before.
func (l *Lifecycle) HasState(before *tfprotov6.DynamicValue) bool {
	l.T.Helper()
	now, errNow := l.State.Unmarshal(l.Schema().ValueType())
	then, errThen := before.Unmarshal(l.Schema().ValueType())
	if errNow != nil || errThen != nil {
		l.T.Fatal(errNow, errThen)
	}
	return now.Equal(then)
}

// PlanChange plans the configuration and reports whether the plan changes anything.
func (l *Lifecycle) PlanChange(config Object) (plan *tfprotov6.PlanResourceChangeResponse, changes bool) {
	l.T.Helper()
	given := l.EncodeNull(l.Schema())
	proposed := given
	if config != nil {
		given = l.EncodeObject(l.Schema(), config)
		proposed = l.proposeState(given)
	}
	plan, err := l.PlanResourceChange(l.Context, &tfprotov6.PlanResourceChangeRequest{
		TypeName: l.TypeName, PriorState: l.State, Config: given, ProposedNewState: proposed, PriorPrivate: l.Private, PriorIdentity: l.Identity,
	})
	if err != nil {
		l.T.Fatal(err)
	}
	if plan.PlannedState == nil {
		return plan, false
	}
	typ := l.Schema().ValueType()
	before, errBefore := l.State.Unmarshal(typ)
	after, errAfter := plan.PlannedState.Unmarshal(typ)
	if errBefore != nil || errAfter != nil {
		l.T.Fatal(errBefore, errAfter)
	}
	return plan, !before.Equal(after)
}

// proposeState returns the configuration, with computed attributes that are not set taken from the state.
func (l *Lifecycle) proposeState(given *tfprotov6.DynamicValue) *tfprotov6.DynamicValue {
	l.T.Helper()
	typ := l.Schema().ValueType()
	config := l.DecodeAttributes(l.Schema(), given)
	if !l.Exists() {
		return given
	}
	state := l.DecodeAttributes(l.Schema(), l.State)
	for _, attribute := range l.Schema().Block.Attributes {
		if attribute.Computed && config[attribute.Name].IsNull() {
			config[attribute.Name] = state[attribute.Name]
		}
		if attribute.WriteOnly {
			config[attribute.Name] = tftypes.NewValue(attribute.ValueType(), nil)
		}
	}
	return l.EncodeValue(typ, tftypes.NewValue(typ, config))
}

// Apply plans and applies a configuration, or destroys the resource if that is nil. It returns the diagnostics and keeps the new state, also after an error.
func (l *Lifecycle) Apply(config Object) []*tfprotov6.Diagnostic {
	l.T.Helper()
	plan, _ := l.PlanChange(config)
	if HasErrors(plan.Diagnostics) {
		return plan.Diagnostics
	}
	given := l.EncodeNull(l.Schema())
	if config != nil {
		given = l.EncodeObject(l.Schema(), config)
	}
	resp, err := l.ApplyResourceChange(l.Context, &tfprotov6.ApplyResourceChangeRequest{
		TypeName: l.TypeName, PriorState: l.State, PlannedState: plan.PlannedState, Config: given, PlannedPrivate: plan.PlannedPrivate, PlannedIdentity: plan.PlannedIdentity,
	})
	if err != nil {
		l.T.Fatal(err)
	}
	if resp.NewState != nil {
		l.State = resp.NewState
	}
	l.Private, l.Identity = resp.Private, resp.NewIdentity
	return append(plan.Diagnostics, resp.Diagnostics...)
}

// Refresh reads the resource and returns the diagnostics.
func (l *Lifecycle) Refresh() []*tfprotov6.Diagnostic {
	l.T.Helper()
	resp, err := l.ReadResource(l.Context, &tfprotov6.ReadResourceRequest{TypeName: l.TypeName, CurrentState: l.State, Private: l.Private, CurrentIdentity: l.Identity})
	if err != nil {
		l.T.Fatal(err)
	}
	if HasErrors(resp.Diagnostics) {
		return resp.Diagnostics
	}
	l.State, l.Private, l.Identity = resp.NewState, resp.Private, resp.NewIdentity
	return resp.Diagnostics
}

// Import returns the lifecycle of an imported resource, after the read that follows an import.
func (s *Protocol) Import(name string, req tfprotov6.ImportResourceStateRequest) *Lifecycle {
	s.T.Helper()
	req.TypeName = name
	resp, err := s.ImportResourceState(s.Context, &req)
	if err != nil {
		s.T.Fatal(err)
	}
	s.RequireNoErrors(resp.Diagnostics)
	l := s.NewLifecycle(name)
	l.State, l.Private, l.Identity = resp.ImportedResources[0].State, resp.ImportedResources[0].Private, resp.ImportedResources[0].Identity
	s.RequireNoErrors(l.Refresh())
	return l
}

// FormatIdentity returns the attributes of the identity as text.
func (l *Lifecycle) FormatIdentity() string {
	l.T.Helper()
	if l.Identity == nil || l.Identity.IdentityData == nil {
		return "none"
	}
	schemas, err := l.GetResourceIdentitySchemas(l.Context, &tfprotov6.GetResourceIdentitySchemasRequest{})
	if err != nil {
		l.T.Fatal(err)
	}
	value, err := l.Identity.IdentityData.Unmarshal(schemas.IdentitySchemas[l.TypeName].ValueType())
	if err != nil {
		l.T.Fatal(err)
	}
	attributes := map[string]tftypes.Value{}
	if err := value.As(&attributes); err != nil {
		l.T.Fatal(err)
	}
	var parts []string
	for _, name := range []string{"cluster", "infrastructure", "namespace", "name"} {
		if !attributes[name].IsNull() {
			parts = append(parts, name+"="+l.DecodeString(attributes[name]))
		}
	}
	return strings.Join(parts, " ")
}

// HasErrors reports whether there is an error among the diagnostics.
func HasErrors(diagnostics []*tfprotov6.Diagnostic) bool {
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			return true
		}
	}
	return false
}
