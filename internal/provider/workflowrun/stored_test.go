package workflowrun

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// fillValue returns a value of a type in which nothing is null. Each text is its path, unless it is a duration.
func fillValue(typ tftypes.Type, at string) tftypes.Value {
	switch typ := typ.(type) {
	case tftypes.Object:
		fields := map[string]tftypes.Value{}
		for name, field := range typ.AttributeTypes {
			fields[name] = fillValue(field, at+"."+name)
		}
		return tftypes.NewValue(typ, fields)
	case tftypes.Map:
		return tftypes.NewValue(typ, map[string]tftypes.Value{"key": fillValue(typ.ElementType, at+".key"), `"<&é`: fillValue(typ.ElementType, at)})
	case tftypes.List:
		return tftypes.NewValue(typ, []tftypes.Value{fillValue(typ.ElementType, at+".0"), fillValue(typ.ElementType, at+".1")})
	case tftypes.Set:
		return tftypes.NewValue(typ, []tftypes.Value{fillValue(typ.ElementType, at+".0"), fillValue(typ.ElementType, at+".1")})
	}
	switch {
	case typ.Is(tftypes.Bool):
		return tftypes.NewValue(typ, true)
	case typ.Is(tftypes.Number):
		return tftypes.NewValue(typ, int64(len(at))<<40)
	case strings.HasSuffix(at, "retention"), strings.HasSuffix(at, "timeout"):
		return tftypes.NewValue(typ, "1h0m0s")
	}
	return tftypes.NewValue(typ, at)
}

// decodeModel returns the model of a state.
func decodeModel(t *testing.T, raw tftypes.Value) (model workflowRunModel) {
	t.Helper()
	if err := toError(tfsdk.State{Schema: resourceSchema(t.Context()), Raw: raw}.Get(t.Context(), &model)); err != nil {
		t.Fatal(err)
	}
	return model
}

// attributesOf returns the attributes of a model.
func attributesOf(t *testing.T, model workflowRunModel) map[string]tftypes.Value {
	t.Helper()
	state := tfsdk.State{Schema: resourceSchema(t.Context())}
	state.Raw = tftypes.NewValue(state.Schema.Type().TerraformType(t.Context()), nil)
	if err := toError(state.Set(t.Context(), model)); err != nil {
		t.Fatal(err)
	}
	var attributes map[string]tftypes.Value
	if err := state.Raw.As(&attributes); err != nil {
		t.Fatal(err)
	}
	return attributes
}

// A stored run has all attributes of the state but those that are read again, and no secret.
func TestStoredRun(t *testing.T) {
	typ := resourceSchema(t.Context()).Type().TerraformType(t.Context())
	for name, raw := range map[string]tftypes.Value{
		"everything is set": fillValue(typ, "run"), "only the name is set": tftypes.NewValue(typ, func() map[string]tftypes.Value {
			fields := map[string]tftypes.Value{}
			for name, field := range typ.(tftypes.Object).AttributeTypes { //nolint:forcetypeassert // of a schema
				fields[name] = tftypes.NewValue(field, nil)
			}
			fields["name"] = tftypes.NewValue(tftypes.String, "few")
			return fields
		}()),
	} {
		t.Run(name, func(t *testing.T) {
			model := decodeModel(t, raw)
			text, err := model.encode(t.Context(), "1.2.3")
			if err != nil {
				t.Fatal(err)
			}
			for _, absent := range []string{"secret_env_wo.", "run.drift", "run.outputs.key.content"} {
				if bytes.Contains(text, []byte(absent)) {
					t.Errorf("it contains %s:\n%s", absent, text)
				}
			}
			got, err := decodeRun(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			attributes, want := attributesOf(t, got), attributesOf(t, model)
			for name, value := range want {
				switch name {
				case "secret_env_wo", "drift", "outputs":
				default:
					if !attributes[name].Equal(value) {
						t.Errorf("%s is %s, want %s", name, attributes[name], value)
					}
				}
			}
			if !attributes["secret_env_wo"].IsNull() || len(got.Drift.Elements()) != 0 || got.Drift.IsNull() {
				t.Errorf("it has secret_env_wo %s and drift %s", attributes["secret_env_wo"], attributes["drift"])
			}
			var diags diag.Diagnostics
			paths := got.outputPaths(t.Context(), &diags)
			if !model.Outputs.IsNull() && paths["key"] != "run.outputs.key.path" || model.Outputs.IsNull() != got.Outputs.IsNull() {
				t.Errorf("the outputs are %q", paths)
			}
		})
	}
}

// A document of another provider is read, or the error has the version to use.
func TestStoredRun_otherProvider(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"fewer attributes":  {`{"v":1,"provider":"0.9.0","attributes":{"name":"few"}}`, ""},
		"another attribute": {`{"v":1,"provider":"2.0.0","attributes":{"name":"few","added":true}}`, `version "2.0.0" of the provider has written it`},
		"another type":      {`{"v":1,"provider":"2.0.0","attributes":{"name":{"is":"few"}}}`, `version "2.0.0" of the provider has written it`},
		"another format":    {`{"v":2,"provider":"2.0.0","attributes":"?"}`, `version "2.0.0" of the provider has written it: it has version 2 of the format; this provider reads version 1`},
		"something else":    {`name = "few"`, "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			model, err := decodeRun(t.Context(), []byte(tt.text))
			var other *otherProviderError
			switch {
			case tt.want == "":
				if err != nil || model.Name.ValueString() != "few" || !model.Steps.IsNull() {
					t.Errorf("got %+v, %v", model, err)
				}
			case err == nil || !strings.Contains(err.Error(), tt.want):
				t.Errorf("got the error %v, want %s", err, tt.want)
			case errors.As(err, &other) && !strings.Contains(other.Remedy(), `"2.0.0"`):
				t.Errorf("it says to do: %s", other.Remedy())
			}
		})
	}
}
