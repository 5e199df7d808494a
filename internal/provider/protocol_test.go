package provider_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

// speaker talks to the provider as a CLI does, one request at a time: for what no CLI on this machine can be made to ask.
type speaker struct {
	tfprotov6.ProviderServer
	t       *testing.T
	schemas *tfprotov6.GetProviderSchemaResponse
}

func newSpeaker(t *testing.T) *speaker {
	t.Helper()
	s := &speaker{ProviderServer: providerserver.NewProtocol6(provider.New("test")())(), t: t}
	schemas, err := s.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	s.ok(schemas.Diagnostics)
	s.schemas = schemas
	return s
}

// configure hands the provider block over.
func (s *speaker) configure(config object, deferral bool) *tfprotov6.ConfigureProviderResponse {
	s.t.Helper()
	resp, err := s.ConfigureProvider(s.t.Context(), &tfprotov6.ConfigureProviderRequest{
		Config:             s.value(s.schemas.Provider, config),
		ClientCapabilities: &tfprotov6.ConfigureProviderClientCapabilities{DeferralAllowed: deferral},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

// plan plans a resource that is not there yet.
func (s *speaker) plan(name string, config object, deferral bool) *tfprotov6.PlanResourceChangeResponse {
	s.t.Helper()
	schema := s.schemas.ResourceSchemas[name]
	resp, err := s.PlanResourceChange(s.t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: name, Config: s.value(schema, config), ProposedNewState: s.value(schema, config), PriorState: s.null(schema),
		ClientCapabilities: &tfprotov6.PlanResourceChangeClientCapabilities{DeferralAllowed: deferral},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

// open opens an ephemeral resource.
func (s *speaker) open(name string, config object) *tfprotov6.OpenEphemeralResourceResponse {
	s.t.Helper()
	resp, err := s.OpenEphemeralResource(s.t.Context(), &tfprotov6.OpenEphemeralResourceRequest{
		TypeName: name, Config: s.value(s.schemas.EphemeralResourceSchemas[name], config),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

// listNamespaces lists what a CLI could import.
func (s *speaker) listNamespaces(config object, limit int64, whole bool) []tfprotov6.ListResourceResult {
	s.t.Helper()
	lister, ok := s.ProviderServer.(tfprotov6.ListResourceServer)
	if !ok {
		s.t.Fatal("the provider lists nothing")
	}
	stream, err := lister.ListResource(s.t.Context(), &tfprotov6.ListResourceRequest{
		TypeName: "brane_namespace", Config: s.value(s.schemas.ListResourceSchemas["brane_namespace"], config), Limit: limit, IncludeResource: whole,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.Collect(stream.Results)
}

// answer takes the provider's answer apart.
func (s *speaker) answer(schema *tfprotov6.Schema, from *tfprotov6.DynamicValue) map[string]tftypes.Value {
	s.t.Helper()
	value, err := from.Unmarshal(schema.ValueType())
	if err != nil {
		s.t.Fatal(err)
	}
	attributes := map[string]tftypes.Value{}
	if err := value.As(&attributes); err != nil {
		s.t.Fatal(err)
	}
	return attributes
}

// text is an attribute's string.
func (s *speaker) text(value tftypes.Value) string {
	s.t.Helper()
	var text string
	if err := value.As(&text); err != nil {
		s.t.Fatal(err)
	}
	return text
}

func (s *speaker) value(schema *tfprotov6.Schema, config object) *tfprotov6.DynamicValue {
	s.t.Helper()
	typ := schema.ValueType()
	return s.encode(typ, build(typ, config))
}

func (s *speaker) null(schema *tfprotov6.Schema) *tfprotov6.DynamicValue {
	s.t.Helper()
	return s.encode(schema.ValueType(), tftypes.NewValue(schema.ValueType(), nil))
}

func (s *speaker) encode(typ tftypes.Type, value tftypes.Value) *tfprotov6.DynamicValue {
	s.t.Helper()
	encoded, err := tfprotov6.NewDynamicValue(typ, value)
	if err != nil {
		s.t.Fatal(err)
	}
	return &encoded
}

// ok fails the test where there is an error among the diagnostics.
func (s *speaker) ok(diagnostics []*tfprotov6.Diagnostic) {
	s.t.Helper()
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			s.t.Fatal(tell(diagnostics))
		}
	}
}

// tell writes diagnostics as "severity, where: summary: detail", a line each.
func tell(diagnostics []*tfprotov6.Diagnostic) string {
	lines := make([]string, len(diagnostics))
	for i, d := range diagnostics {
		where := ""
		if d.Attribute != nil {
			where = ", " + d.Attribute.String()
		}
		lines[i] = fmt.Sprintf("%s%s: %s: %s", d.Severity, where, d.Summary, d.Detail)
	}
	return strings.Join(lines, "\n")
}

// invoke runs an action and returns its progress messages, followed by its diagnostics.
func (s *speaker) invoke(name string, config object) (said []string) {
	s.t.Helper()
	actions, ok := s.ProviderServer.(tfprotov6.ActionServer)
	if !ok {
		s.t.Fatal("the provider has no actions")
	}
	stream, err := actions.InvokeAction(s.t.Context(), &tfprotov6.InvokeActionRequest{ActionType: name, Config: s.value(s.schemas.ActionSchemas[name].Schema, config)})
	must(s.t, err)
	for event := range stream.Events {
		switch e := event.Type.(type) {
		case tfprotov6.ProgressInvokeActionEventType:
			said = append(said, e.Message)
		case tfprotov6.CompletedInvokeActionEventType:
			if len(e.Diagnostics) > 0 {
				said = append(said, tell(e.Diagnostics))
			}
		}
	}
	return said
}

// merged returns the attributes of all objects; later ones take precedence.
func merged(all ...object) object {
	m := object{}
	for _, each := range all {
		maps.Copy(m, each)
	}
	return m
}
