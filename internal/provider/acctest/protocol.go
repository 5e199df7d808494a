package acctest

import (
	"context"
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

// Protocol sends single requests to the provider, as a CLI does, also those that no CLI can be made to send.
type Protocol struct {
	tfprotov6.ProviderServer
	T       testing.TB
	Context context.Context // of all requests; a test can add a logger
	Schemas *tfprotov6.GetProviderSchemaResponse
}

// NewProtocol starts a provider in the process of the test.
func NewProtocol(t testing.TB) *Protocol {
	t.Helper()
	s := &Protocol{ProviderServer: providerserver.NewProtocol6(provider.New("dev")())(), T: t, Context: t.Context()}
	schemas, err := s.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil {
		t.Fatal(err)
	}
	s.RequireNoErrors(schemas.Diagnostics)
	s.Schemas = schemas
	return s
}

// Configure configures the provider with a provider block.
func (s *Protocol) Configure(config Object, deferral bool) *tfprotov6.ConfigureProviderResponse {
	s.T.Helper()
	resp, err := s.ConfigureProvider(s.Context, &tfprotov6.ConfigureProviderRequest{
		Config:             s.EncodeObject(s.Schemas.Provider, config),
		ClientCapabilities: &tfprotov6.ConfigureProviderClientCapabilities{DeferralAllowed: deferral},
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return resp
}

// Plan plans a resource that does not exist yet.
func (s *Protocol) Plan(name string, config Object, deferral bool) *tfprotov6.PlanResourceChangeResponse {
	s.T.Helper()
	schema := s.Schemas.ResourceSchemas[name]
	resp, err := s.PlanResourceChange(s.Context, &tfprotov6.PlanResourceChangeRequest{
		TypeName: name, Config: s.EncodeObject(schema, config), ProposedNewState: s.EncodeObject(schema, config), PriorState: s.EncodeNull(schema),
		ClientCapabilities: &tfprotov6.PlanResourceChangeClientCapabilities{DeferralAllowed: deferral},
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return resp
}

// OpenEphemeral opens an ephemeral resource.
func (s *Protocol) OpenEphemeral(name string, config Object) *tfprotov6.OpenEphemeralResourceResponse {
	s.T.Helper()
	resp, err := s.OpenEphemeralResource(s.Context, &tfprotov6.OpenEphemeralResourceRequest{
		TypeName: name, Config: s.EncodeObject(s.Schemas.EphemeralResourceSchemas[name], config),
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return resp
}

// ListNamespaces lists the namespaces that a CLI can import.
func (s *Protocol) ListNamespaces(config Object, limit int64, whole bool) []tfprotov6.ListResourceResult {
	s.T.Helper()
	lister, ok := s.ProviderServer.(tfprotov6.ListResourceServer)
	if !ok {
		s.T.Fatal("the provider lists nothing")
	}
	stream, err := lister.ListResource(s.Context, &tfprotov6.ListResourceRequest{
		TypeName: "brane_namespace", Config: s.EncodeObject(s.Schemas.ListResourceSchemas["brane_namespace"], config), Limit: limit, IncludeResource: whole,
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return slices.Collect(stream.Results)
}

// DecodeAttributes returns the attributes of a value that the provider returned.
func (s *Protocol) DecodeAttributes(schema *tfprotov6.Schema, from *tfprotov6.DynamicValue) map[string]tftypes.Value {
	s.T.Helper()
	value, err := from.Unmarshal(schema.ValueType())
	if err != nil {
		s.T.Fatal(err)
	}
	attributes := map[string]tftypes.Value{}
	if err := value.As(&attributes); err != nil {
		s.T.Fatal(err)
	}
	return attributes
}

// DecodeString returns the string of an attribute.
func (s *Protocol) DecodeString(value tftypes.Value) string {
	s.T.Helper()
	var text string
	if err := value.As(&text); err != nil {
		s.T.Fatal(err)
	}
	return text
}

// EncodeObject encodes an object of a schema.
func (s *Protocol) EncodeObject(schema *tfprotov6.Schema, config Object) *tfprotov6.DynamicValue {
	s.T.Helper()
	typ := schema.ValueType()
	return s.EncodeValue(typ, NewValue(typ, config))
}

// EncodeNull encodes null of a schema.
func (s *Protocol) EncodeNull(schema *tfprotov6.Schema) *tfprotov6.DynamicValue {
	s.T.Helper()
	return s.EncodeValue(schema.ValueType(), tftypes.NewValue(schema.ValueType(), nil))
}

// EncodeValue encodes a value of a type.
func (s *Protocol) EncodeValue(typ tftypes.Type, value tftypes.Value) *tfprotov6.DynamicValue {
	s.T.Helper()
	encoded, err := tfprotov6.NewDynamicValue(typ, value)
	if err != nil {
		s.T.Fatal(err)
	}
	return &encoded
}

// RequireNoErrors fails the test if there is an error among the diagnostics.
func (s *Protocol) RequireNoErrors(diagnostics []*tfprotov6.Diagnostic) {
	s.T.Helper()
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			s.T.Fatal(FormatDiagnostics(diagnostics))
		}
	}
}

// FormatDiagnostics formats diagnostics as "severity, path: summary: detail", one per line.
func FormatDiagnostics(diagnostics []*tfprotov6.Diagnostic) string {
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

// Invoke runs an action and returns its progress messages, followed by its diagnostics.
func (s *Protocol) Invoke(name string, config Object) (said []string) {
	s.T.Helper()
	actions, ok := s.ProviderServer.(tfprotov6.ActionServer)
	if !ok {
		s.T.Fatal("the provider has no actions")
	}
	stream, err := actions.InvokeAction(s.Context, &tfprotov6.InvokeActionRequest{ActionType: name, Config: s.EncodeObject(s.Schemas.ActionSchemas[name].Schema, config)})
	NoError(s.T, err)
	for event := range stream.Events {
		switch e := event.Type.(type) {
		case tfprotov6.ProgressInvokeActionEventType:
			said = append(said, e.Message)
		case tfprotov6.CompletedInvokeActionEventType:
			if len(e.Diagnostics) > 0 {
				said = append(said, FormatDiagnostics(e.Diagnostics))
			}
		}
	}
	return said
}

// MergeObjects returns the attributes of all objects; later ones take precedence.
func MergeObjects(all ...Object) Object {
	m := Object{}
	for _, each := range all {
		maps.Copy(m, each)
	}
	return m
}
