package provider_test

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
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// Each part of a value of each schema is null or unknown once, in configurations, plans and states, in every RPC that receives them. No RPC panics, and none asks
// the user to report a conversion. A configuration with a null element in a collection is an error on that element.
func TestNullAndUnknownParts(t *testing.T) { testNullAndUnknownParts(t, 8) }

// testNullAndUnknownParts tests at least count variants of each value, which are chosen evenly, or all.
func testNullAndUnknownParts(t *testing.T, count int) {
	t.Helper()
	t.Parallel()
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{
		"kubernetes":    acctest.Object{"host": "https://127.0.0.1:1", "token": "t"},
		"control_plane": acctest.Object{"directory": t.TempDir()},
		"redis":         acctest.Object{"url": redistest.Start(t).URL()}, // after an update, the run is stored even if the operation was cancelled
	}, false).Diagnostics)
	for name, schema := range collectRPCs(t, s) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for title, base := range schema.bases {
				variants := replaceParts(t, base, title == generated)
				names := slices.Sorted(maps.Keys(variants))
				stride := max(len(names)/count, 1)
				for i := 0; i < len(names); i += stride {
					variant := names[i]
					v := variants[variant]
					for rpc, call := range schema.rpcs {
						diagnostics := call(v.whole)
						if v.isUnknown && rpc != "validate" && !strings.HasPrefix(rpc, "plan") {
							continue // no CLI sends it
						}
						text := acctest.FormatDiagnostics(diagnostics)
						for _, sentence := range []string{"Value Conversion Error", "always an error in the provider", "report the following", "bug in the provider"} {
							if strings.Contains(text, sentence) {
								t.Errorf("%s of %s with %s:\n%s", rpc, title, variant, text)
								break
							}
						}
						for _, at := range v.nullElements {
							if rpc == "validate" && !hasErrorAt(diagnostics, at) {
								t.Errorf("%s of %s with %s: no error on %s:\n%s", rpc, title, variant, at, text)
							}
						}
					}
				}
			}
		})
	}
}

// generated is the title of values in which everything is set.
const generated = "a value with all attributes"

// hasErrorAt reports whether a message names the path, and an error is on it or on the set that contains it.
func hasErrorAt(diagnostics []*tfprotov6.Diagnostic, at *tftypes.AttributePath) bool {
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError && d.Attribute != nil && strings.HasPrefix(at.String(), d.Attribute.String()) && d.Summary == "Null element" {
			return true
		}
	}
	return false
}

// variant is a value with null or unknown parts.
type variant struct {
	whole        tftypes.Value
	nullElements []*tftypes.AttributePath
	isUnknown    bool
}

// replaceParts returns copies of the value. In each another part is null or unknown, or, if byDepth, all parts of one depth: a call with a whole run takes the
// framework up to 300 ms. Scalar attributes stay: TestUnknownsContract has them.
func replaceParts(t *testing.T, whole tftypes.Value, byDepth bool) map[string]variant {
	t.Helper()
	replaced := map[string][]*tftypes.AttributePath{}
	acctest.NoError(t, tftypes.Walk(whole, func(at *tftypes.AttributePath, part tftypes.Value) (bool, error) {
		isScalar := part.Type().Is(tftypes.String) || part.Type().Is(tftypes.Number) || part.Type().Is(tftypes.Bool)
		if len(at.Steps()) == 0 || part.IsNull() || isAttribute(at) && isScalar {
			return true, nil
		}
		name := at.String()
		if byDepth {
			name = fmt.Sprintf("all parts of depth %d, attributes: %v", len(at.Steps()), isAttribute(at))
		}
		replaced[name] = append(replaced[name], at)
		return true, nil
	}))
	variants := map[string]variant{}
	for name, paths := range replaced {
		for word, with := range map[string]any{"null": nil, "unknown": tftypes.UnknownValue} {
			v := variant{isUnknown: with != nil}
			var err error
			v.whole, err = tftypes.Transform(whole, func(here *tftypes.AttributePath, value tftypes.Value) (tftypes.Value, error) {
				if slices.ContainsFunc(paths, here.Equal) {
					return tftypes.NewValue(value.Type(), with), nil
				}
				return value, nil
			})
			acctest.NoError(t, err)
			for _, at := range paths {
				if with == nil && !isAttribute(at) {
					v.nullElements = append(v.nullElements, at)
				}
			}
			variants[name+" "+word] = v
		}
	}
	return variants
}

// isAttribute reports whether a path ends at an attribute, and not at an element of a collection.
func isAttribute(at *tftypes.AttributePath) bool {
	_, is := at.LastStep().(tftypes.AttributeName)
	return is
}

// rpc sends a value to the provider in one field of a request; the other fields are without null and unknown parts.
type rpc func(value tftypes.Value) []*tfprotov6.Diagnostic

// schemaRPCs holds the RPCs that receive a value of one schema, and the values to begin with.
type schemaRPCs struct {
	bases map[string]tftypes.Value
	rpcs  map[string]rpc
}

// collectRPCs returns the RPCs of all schemas. Their context is cancelled: only what happens before the first request to a server is of interest.
func collectRPCs(t *testing.T, s *acctest.Protocol) map[string]schemaRPCs {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	encode := func(v tftypes.Value) *tfprotov6.DynamicValue { return dynamic(t, v.Type(), v) }
	bases := func(schema *tfprotov6.Schema) map[string]tftypes.Value {
		return map[string]tftypes.Value{generated: generateObject(schema.Block.Attributes, true)}
	}
	all := map[string]schemaRPCs{"provider": {bases: bases(s.Schemas.Provider), rpcs: map[string]rpc{
		"validate": func(v tftypes.Value) []*tfprotov6.Diagnostic {
			resp, err := s.ValidateProviderConfig(ctx, &tfprotov6.ValidateProviderConfigRequest{Config: encode(v)})
			acctest.NoError(t, err)
			return resp.Diagnostics
		},
		"configure": func(v tftypes.Value) []*tfprotov6.Diagnostic {
			resp, err := providerserver.NewProtocol6(provider.New("test")())().ConfigureProvider(ctx, &tfprotov6.ConfigureProviderRequest{Config: encode(v)})
			acctest.NoError(t, err)
			return resp.Diagnostics
		},
	}}}
	for name, schema := range s.Schemas.ResourceSchemas {
		valid := valueOf(schema.ValueType(), full[name])
		configs := map[string]tftypes.Value{generated: generateObject(schema.Block.Attributes, true), "a valid configuration": valid}
		states := map[string]tftypes.Value{generated: generateObject(schema.Block.Attributes, false), "a state without computed attributes": valid}
		configRPCs, stateRPCs := resourceRPCs(ctx, t, s, name, encode(valid))
		all["configuration of "+name], all["state of "+name] = schemaRPCs{configs, configRPCs}, schemaRPCs{states, stateRPCs}
	}
	for name, schema := range s.Schemas.DataSourceSchemas {
		all["data source "+name] = schemaRPCs{bases: bases(schema), rpcs: map[string]rpc{
			"validate": func(v tftypes.Value) []*tfprotov6.Diagnostic {
				resp, err := s.ValidateDataResourceConfig(ctx, &tfprotov6.ValidateDataResourceConfigRequest{TypeName: name, Config: encode(v)})
				acctest.NoError(t, err)
				return resp.Diagnostics
			},
			"read": func(v tftypes.Value) []*tfprotov6.Diagnostic {
				resp, err := s.ReadDataSource(ctx, &tfprotov6.ReadDataSourceRequest{TypeName: name, Config: encode(v)})
				acctest.NoError(t, err)
				return resp.Diagnostics
			},
		}}
	}
	for name, schema := range s.Schemas.EphemeralResourceSchemas {
		all["ephemeral resource "+name] = schemaRPCs{bases: bases(schema), rpcs: map[string]rpc{
			"validate": func(v tftypes.Value) []*tfprotov6.Diagnostic {
				resp, err := s.ValidateEphemeralResourceConfig(ctx, &tfprotov6.ValidateEphemeralResourceConfigRequest{TypeName: name, Config: encode(v)})
				acctest.NoError(t, err)
				return resp.Diagnostics
			},
			"open": func(v tftypes.Value) []*tfprotov6.Diagnostic {
				resp, err := s.OpenEphemeralResource(ctx, &tfprotov6.OpenEphemeralResourceRequest{TypeName: name, Config: encode(v)})
				acctest.NoError(t, err)
				return resp.Diagnostics
			},
		}}
	}
	lister, hasLists := s.ProviderServer.(tfprotov6.ListResourceServer)
	actions, hasActions := s.ProviderServer.(tfprotov6.ActionServer)
	if !hasLists || !hasActions {
		t.Fatal("the provider has no list resources or no actions")
	}
	for name, schema := range s.Schemas.ListResourceSchemas {
		all["list resource "+name] = schemaRPCs{bases: bases(schema), rpcs: map[string]rpc{
			"validate": func(v tftypes.Value) []*tfprotov6.Diagnostic {
				resp, err := lister.ValidateListResourceConfig(ctx, &tfprotov6.ValidateListResourceConfigRequest{TypeName: name, Config: encode(v)})
				acctest.NoError(t, err)
				return resp.Diagnostics
			},
			"list": func(v tftypes.Value) (found []*tfprotov6.Diagnostic) {
				stream, err := lister.ListResource(ctx, &tfprotov6.ListResourceRequest{TypeName: name, Config: encode(v), Limit: 10})
				acctest.NoError(t, err)
				for result := range stream.Results {
					found = append(found, result.Diagnostics...)
				}
				return found
			},
		}}
	}
	for name, schema := range s.Schemas.ActionSchemas {
		all["action "+name] = schemaRPCs{bases: bases(schema.Schema), rpcs: map[string]rpc{
			"validate": func(v tftypes.Value) []*tfprotov6.Diagnostic {
				resp, err := actions.ValidateActionConfig(ctx, &tfprotov6.ValidateActionConfigRequest{ActionType: name, Config: encode(v)})
				acctest.NoError(t, err)
				return resp.Diagnostics
			},
			"invoke": func(v tftypes.Value) (found []*tfprotov6.Diagnostic) {
				stream, err := actions.InvokeAction(ctx, &tfprotov6.InvokeActionRequest{ActionType: name, Config: encode(v)})
				acctest.NoError(t, err)
				for event := range stream.Events {
					if completed, ok := event.Type.(tfprotov6.CompletedInvokeActionEventType); ok {
						found = append(found, completed.Diagnostics...)
					}
				}
				return found
			},
		}}
	}
	return all
}

// resourceRPCs returns the RPCs of a resource that receive a configuration, and those that receive a state. valid is a configuration for the other fields of a request.
func resourceRPCs(ctx context.Context, t *testing.T, s *acctest.Protocol, name string, valid *tfprotov6.DynamicValue) (configs, states map[string]rpc) {
	t.Helper()
	null := s.EncodeNull(s.Schemas.ResourceSchemas[name])
	plan := func(prior, config, proposed *tfprotov6.DynamicValue) []*tfprotov6.Diagnostic {
		resp, err := s.PlanResourceChange(ctx, &tfprotov6.PlanResourceChangeRequest{TypeName: name, PriorState: prior, Config: config, ProposedNewState: proposed})
		acctest.NoError(t, err)
		return resp.Diagnostics
	}
	apply := func(prior, config, planned *tfprotov6.DynamicValue) []*tfprotov6.Diagnostic {
		resp, err := s.ApplyResourceChange(ctx, &tfprotov6.ApplyResourceChangeRequest{TypeName: name, PriorState: prior, Config: config, PlannedState: planned})
		acctest.NoError(t, err)
		return resp.Diagnostics
	}
	encode := func(v tftypes.Value) *tfprotov6.DynamicValue { return dynamic(t, v.Type(), v) }
	configs = map[string]rpc{
		"validate": func(v tftypes.Value) []*tfprotov6.Diagnostic {
			resp, err := s.ValidateResourceConfig(ctx, &tfprotov6.ValidateResourceConfigRequest{
				TypeName: name, Config: encode(v), ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
			})
			acctest.NoError(t, err)
			return resp.Diagnostics
		},
		"plan of a creation": func(v tftypes.Value) []*tfprotov6.Diagnostic { return plan(null, encode(v), encode(v)) },
		"plan of an update":  func(v tftypes.Value) []*tfprotov6.Diagnostic { return plan(valid, encode(v), encode(v)) },
		"creation":           func(v tftypes.Value) []*tfprotov6.Diagnostic { return apply(null, encode(v), encode(v)) },
		"update":             func(v tftypes.Value) []*tfprotov6.Diagnostic { return apply(valid, encode(v), encode(v)) },
	}
	states = map[string]rpc{
		"before a plan of an update":  func(v tftypes.Value) []*tfprotov6.Diagnostic { return plan(encode(v), valid, valid) },
		"before a plan of a deletion": func(v tftypes.Value) []*tfprotov6.Diagnostic { return plan(encode(v), null, null) },
		"before an update":            func(v tftypes.Value) []*tfprotov6.Diagnostic { return apply(encode(v), valid, valid) },
		"before a deletion":           func(v tftypes.Value) []*tfprotov6.Diagnostic { return apply(encode(v), null, null) },
		"read": func(v tftypes.Value) []*tfprotov6.Diagnostic {
			resp, err := s.ReadResource(ctx, &tfprotov6.ReadResourceRequest{TypeName: name, CurrentState: encode(v)})
			acctest.NoError(t, err)
			return resp.Diagnostics
		},
	}
	return configs, states
}

// generateObject returns an object in which all attributes are set, at each depth. In a configuration, those that only the provider sets are null.
func generateObject(attributes []*tfprotov6.SchemaAttribute, isConfig bool) tftypes.Value {
	types, values := map[string]tftypes.Type{}, map[string]tftypes.Value{}
	for _, attribute := range attributes {
		types[attribute.Name] = attribute.ValueType()
		values[attribute.Name] = tftypes.NewValue(attribute.ValueType(), nil)
		if attribute.Required || attribute.Optional || !isConfig {
			var nested []*tfprotov6.SchemaAttribute
			if attribute.NestedType != nil {
				nested = attribute.NestedType.Attributes
			}
			values[attribute.Name] = generateValue(attribute.ValueType(), nested, isConfig)
		}
	}
	return tftypes.NewValue(tftypes.Object{AttributeTypes: types}, values)
}

// generateValue returns a value of a type without null parts. Collections have one element. nested are the attributes of a nested object.
func generateValue(of tftypes.Type, nested []*tfprotov6.SchemaAttribute, isConfig bool) tftypes.Value {
	switch kind := of.(type) {
	case tftypes.Object:
		return generateObject(nested, isConfig)
	case tftypes.Map:
		return tftypes.NewValue(of, map[string]tftypes.Value{"key": generateValue(kind.ElementType, nested, isConfig)})
	case tftypes.List:
		return tftypes.NewValue(of, []tftypes.Value{generateValue(kind.ElementType, nested, isConfig)})
	case tftypes.Set:
		return tftypes.NewValue(of, []tftypes.Value{generateValue(kind.ElementType, nested, isConfig)})
	}
	switch {
	case of.Is(tftypes.Bool):
		return tftypes.NewValue(of, true)
	case of.Is(tftypes.Number):
		return tftypes.NewValue(of, 1)
	default:
		return tftypes.NewValue(of, "1m")
	}
}
