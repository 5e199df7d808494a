package provider_test

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/provider"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Every resource validates and plans unknown, missing and destroyed values without a panic and without an error.
func TestUnknownsContract(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server := providerserver.NewProtocol6(provider.New("test")())()
	schemas, err := server.GetProviderSchema(ctx, &tfprotov6.GetProviderSchemaRequest{})
	acctest.NoError(t, err)
	configureUnknown(ctx, t, server, schemas.Provider)
	for name, schema := range schemas.ResourceSchemas {
		object, ok := schema.Block.ValueType().(tftypes.Object)
		if !ok {
			t.Fatalf("%s is no object", name)
		}
		needed := func(a *tfprotov6.SchemaAttribute) bool { return a.Required || a.Name == oneOf[name] }
		for title, fill := range map[string]func(*tfprotov6.SchemaAttribute) any{
			"everything unknown":                     func(*tfprotov6.SchemaAttribute) any { return tftypes.UnknownValue },
			"everything required unknown, rest null": unknownIf(needed),
			"everything optional unknown, rest null": unknownIf(func(a *tfprotov6.SchemaAttribute) bool { return a.Required || a.Optional }),
		} {
			t.Run(name+": "+title, func(t *testing.T) {
				t.Parallel()
				config := objectOf(object, schema.Block.Attributes, fill)
				validateAndPlan(t, server, name, object, config)
			})
		}
		for attribute, value := range nestedUnknowns(schema.Block.Attributes) {
			t.Run(name+": elements of "+attribute+" unknown", func(t *testing.T) {
				t.Parallel()
				config := objectOf(object, schema.Block.Attributes, unknownIf(func(a *tfprotov6.SchemaAttribute) bool { return needed(a) && a.Name != attribute }))
				values := map[string]tftypes.Value{}
				acctest.NoError(t, config.As(&values))
				values[attribute] = value
				validateAndPlan(t, server, name, object, tftypes.NewValue(object, values))
			})
		}
		for at, config := range partlyUnknown(t, valueOf(object, full[name])) {
			t.Run(name+": all known but "+at, func(t *testing.T) {
				t.Parallel()
				validateAndPlan(t, server, name, object, config)
			})
		}
		t.Run(name+": destroy", func(t *testing.T) {
			t.Parallel()
			null := dynamic(t, object, tftypes.NewValue(object, nil))
			plan, err := server.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
				TypeName: name, PriorState: dynamic(t, object, objectOf(object, schema.Block.Attributes, unknownIf(func(*tfprotov6.SchemaAttribute) bool { return false }))),
				ProposedNewState: null, Config: null,
			})
			acctest.NoError(t, err)
			noErrors(t, plan.Diagnostics)
		})
	}
}

// oneOf lists the attribute to set if a resource requires one of several.
var oneOf = map[string]string{"brane_file_set": "directory", "brane_workflow_run": "infrastructure"}

// full lists a valid configuration of each resource with all attributes.
var full = map[string]map[string]any{
	"brane_namespace": {
		"name": "brane", "labels": map[string]any{"a": "b"}, "annotations": map[string]any{"a": "b"},
		"common_labels": map[string]any{"a": "c"}, "common_annotations": map[string]any{"a": "c"},
		"service_account": map[string]any{"name": "brane", "labels": map[string]any{"a": "b"}, "image_pull_secrets": []any{"x"}, "create_token_secret": true},
		"pod_security":    map[string]any{"enforce": "baseline", "version": "v1.35"},
		"rules":           []any{map[string]any{"api_groups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"get"}}},
		"subjects":        []any{map[string]any{"kind": "ServiceAccount", "name": "robot", "namespace": "x"}},
		"resource_quota":  map[string]any{"pods": "5"}, "limit_range": map[string]any{"max": map[string]any{"cpu": "1"}, "min": map[string]any{"cpu": "1m"}},
		"network_policy":       map[string]any{"dns": true, "egress": map[string]any{"redis": map[string]any{"cidrs": []any{"10.0.0.0/8"}, "ports": []any{6379}, "protocols": []any{"TCP"}}}},
		"registry_credentials": map[string]any{"r.example.org": map[string]any{"username": "u", "password_wo": "p", "password_wo_version": 1}},
		"adopt":                true, "deletion_protection": true, "deletion_policy": "retain",
	},
	"brane_infrastructure": {
		"name": "compute", "address": "198.51.100.10:6443", "namespace": "brane", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052",
		"mount_dfs": "redis://198.51.100.10", "credentials": map[string]any{"service_account": "brane", "lifetime": "720h"}, "verify_credentials": true, "timeouts": map[string]any{"create": "5m"},
	},
	"brane_workflow_run": {
		"name": "run", "infrastructure": "compute", "retention": "72h", "triggers": map[string]any{"release": "1"},
		"inputs":  map[string]any{"text": map[string]any{"content": "text"}},
		"outputs": map[string]any{"text": map[string]any{"path": "text"}},
		"steps": map[string]any{
			"a": map[string]any{"image": "tools:1", "command": []any{"true"}},
			"b": map[string]any{
				"image": "tools:1", "command": []any{"true"}, "args": []any{"x"}, "env": map[string]any{"A": "b"}, "working_dir": "/tmp", "needs": []any{"a"}, "timeout": "5m", "security_context": map[string]any{"run_as_user": 1000},
			},
		},
		"timeouts": map[string]any{"create": "5m"},
	},
	"brane_file_set": {
		"name": "set", "files": map[string]any{"a": map[string]any{"content": "a"}}, "timeouts": map[string]any{"create": "5m"},
	},
}

// valueOf returns a value of a type. Missing attributes of objects are null.
func valueOf(of tftypes.Type, given any) tftypes.Value {
	elements := func(element tftypes.Type) (values []tftypes.Value) {
		list, _ := given.([]any)
		for _, one := range list {
			values = append(values, valueOf(element, one))
		}
		return values
	}
	fields, _ := given.(map[string]any)
	values := map[string]tftypes.Value{}
	switch kind := of.(type) {
	case nil:
	case tftypes.Object:
		for name, field := range kind.AttributeTypes {
			values[name] = tftypes.NewValue(field, nil)
			if fields[name] != nil {
				values[name] = valueOf(field, fields[name])
			}
		}
		return tftypes.NewValue(of, values)
	case tftypes.Map:
		for name, field := range fields {
			values[name] = valueOf(kind.ElementType, field)
		}
		return tftypes.NewValue(of, values)
	case tftypes.List:
		return tftypes.NewValue(of, elements(kind.ElementType))
	case tftypes.Set:
		return tftypes.NewValue(of, elements(kind.ElementType))
	}
	return tftypes.NewValue(of, given)
}

// partlyUnknown returns copies of the value, each with another unknown part.
func partlyUnknown(t *testing.T, whole tftypes.Value) map[string]tftypes.Value {
	t.Helper()
	all := map[string]tftypes.Value{"nothing": whole}
	acctest.NoError(t, tftypes.Walk(whole, func(at *tftypes.AttributePath, part tftypes.Value) (bool, error) {
		_, isObject := part.Type().(tftypes.Object)
		if part.IsNull() || len(at.Steps()) == 0 || isObject && len(at.Steps()) > 1 {
			return true, nil // the framework itself takes the fields of an unknown element for missing
		}
		changed, err := tftypes.Transform(whole, func(here *tftypes.AttributePath, value tftypes.Value) (tftypes.Value, error) {
			if here.Equal(at) {
				return tftypes.NewValue(value.Type(), tftypes.UnknownValue), nil
			}
			return value, nil
		})
		all[at.String()] = changed
		return true, err
	}))
	return all
}

// configureUnknown configures the provider with unknown values, as in a plan before the resources on which it depends are created.
func configureUnknown(ctx context.Context, t *testing.T, server tfprotov6.ProviderServer, schema *tfprotov6.Schema) {
	t.Helper()
	object, ok := schema.Block.ValueType().(tftypes.Object)
	if !ok {
		t.Fatal("the provider's schema is no object")
	}
	config := dynamic(t, object, objectOf(object, schema.Block.Attributes, func(*tfprotov6.SchemaAttribute) any { return tftypes.UnknownValue }))
	validated, err := server.ValidateProviderConfig(ctx, &tfprotov6.ValidateProviderConfigRequest{Config: config})
	acctest.NoError(t, err)
	noErrors(t, validated.Diagnostics)
	configured, err := server.ConfigureProvider(ctx, &tfprotov6.ConfigureProviderRequest{TerraformVersion: "1.11.4", Config: config})
	acctest.NoError(t, err)
	noErrors(t, configured.Diagnostics)
}

// validateAndPlan validates and plans a new resource as the CLI does.
func validateAndPlan(t *testing.T, server tfprotov6.ProviderServer, name string, object tftypes.Object, config tftypes.Value) {
	t.Helper()
	given := dynamic(t, object, config)
	validated, err := server.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
		TypeName: name, Config: given, ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
	})
	acctest.NoError(t, err)
	noErrors(t, validated.Diagnostics)
	plan, err := server.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: name, PriorState: dynamic(t, object, tftypes.NewValue(object, nil)), ProposedNewState: given, Config: given,
	})
	acctest.NoError(t, err)
	noErrors(t, plan.Diagnostics)
}

func unknownIf(which func(*tfprotov6.SchemaAttribute) bool) func(*tfprotov6.SchemaAttribute) any {
	return func(a *tfprotov6.SchemaAttribute) any {
		if which(a) {
			return tftypes.UnknownValue
		}
		return nil
	}
}

// objectOf returns the value of a resource. Computed attributes that cannot be set are null, as in every configuration.
func objectOf(object tftypes.Object, attributes []*tfprotov6.SchemaAttribute, fill func(*tfprotov6.SchemaAttribute) any) tftypes.Value {
	values := map[string]tftypes.Value{}
	for _, attribute := range attributes {
		var value any
		if attribute.Required || attribute.Optional {
			value = fill(attribute)
		}
		values[attribute.Name] = tftypes.NewValue(object.AttributeTypes[attribute.Name], value)
	}
	return tftypes.NewValue(object, values)
}

// nestedUnknowns returns known values of nested attributes, each with one element whose attributes are unknown.
func nestedUnknowns(attributes []*tfprotov6.SchemaAttribute) map[string]tftypes.Value {
	found := map[string]tftypes.Value{}
	for _, attribute := range attributes {
		if attribute.NestedType == nil || !attribute.Required && !attribute.Optional {
			continue
		}
		element := func(of tftypes.Type) tftypes.Value {
			object, ok := of.(tftypes.Object)
			if !ok {
				return tftypes.NewValue(of, tftypes.UnknownValue)
			}
			return objectOf(object, attribute.NestedType.Attributes, func(a *tfprotov6.SchemaAttribute) any { return tftypes.UnknownValue })
		}
		switch kind := attribute.ValueType().(type) {
		case tftypes.Map:
			key := "one"
			if attribute.Name == "registry_credentials" {
				key = "one.example.org"
			}
			found[attribute.Name] = tftypes.NewValue(kind, map[string]tftypes.Value{key: element(kind.ElementType)})
		case tftypes.Object:
			found[attribute.Name] = element(kind)
		}
	}
	return found
}

func dynamic(t *testing.T, of tftypes.Type, value tftypes.Value) *tfprotov6.DynamicValue {
	t.Helper()
	d, err := tfprotov6.NewDynamicValue(of, value)
	acctest.NoError(t, err)
	return &d
}

func noErrors(t *testing.T, diagnostics []*tfprotov6.Diagnostic) {
	t.Helper()
	for _, d := range diagnostics {
		if d.Severity == tfprotov6.DiagnosticSeverityError {
			t.Errorf("%s %s: %s", d.Attribute, d.Summary, d.Detail)
		}
	}
}
