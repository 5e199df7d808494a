package workflowrun

import (
	"context"
	"fmt"
	"slices"
	"strings"

	actionschema "github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/defaults"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// An action that takes the attributes of a resource shares its code to read them. The framework has separate types for the schemas of actions; they are
// converted here, so that an attribute that is added to the resource is added to the action as well.

// actionAttributes converts the attributes of a resource to those of an action, without computed ones and those named in without.
func actionAttributes(attributes map[string]schema.Attribute, without ...string) map[string]actionschema.Attribute {
	made := map[string]actionschema.Attribute{}
	for name, attribute := range attributes {
		if (attribute.IsRequired() || attribute.IsOptional()) && !slices.Contains(without, name) {
			made[name] = actionAttribute(name, attribute)
		}
	}
	return made
}

// withoutConsequence removes the sentences about a change of an attribute: an action has no state to compare with.
var withoutConsequence = strings.NewReplacer(runsAll, "", runsStep, "", runsIndexes, "", runsReaders, "", runsNothing, "", replacesRun, "")

func actionAttribute(name string, attribute schema.Attribute) actionschema.Attribute {
	text := withoutConsequence.Replace(attribute.GetMarkdownDescription())
	required, optional, secret := attribute.IsRequired(), attribute.IsOptional(), attribute.IsWriteOnly()
	switch a := attribute.(type) {
	case schema.StringAttribute:
		return actionschema.StringAttribute{MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, Validators: a.Validators}
	case schema.BoolAttribute:
		return actionschema.BoolAttribute{MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, Validators: a.Validators}
	case schema.Int64Attribute:
		return actionschema.Int64Attribute{MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, Validators: a.Validators}
	case schema.Float64Attribute:
		return actionschema.Float64Attribute{MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, Validators: a.Validators}
	case schema.DynamicAttribute:
		return actionschema.DynamicAttribute{MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, Validators: a.Validators}
	case schema.ListAttribute:
		return actionschema.ListAttribute{MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, ElementType: a.ElementType, Validators: a.Validators}
	case schema.SetAttribute:
		return actionschema.SetAttribute{MarkdownDescription: text, Required: required, Optional: optional, CustomType: a.CustomType, ElementType: a.ElementType, Validators: a.Validators}
	case schema.MapAttribute:
		return actionschema.MapAttribute{MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, ElementType: a.ElementType, Validators: a.Validators}
	case schema.SingleNestedAttribute:
		return actionschema.SingleNestedAttribute{
			MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, Validators: a.Validators, Attributes: actionAttributes(a.Attributes),
		}
	case schema.ListNestedAttribute:
		return actionschema.ListNestedAttribute{
			MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, Validators: a.Validators, NestedObject: actionObject(a.NestedObject),
		}
	case schema.MapNestedAttribute:
		return actionschema.MapNestedAttribute{
			MarkdownDescription: text, Required: required, Optional: optional, WriteOnly: secret, CustomType: a.CustomType, Validators: a.Validators, NestedObject: actionObject(a.NestedObject),
		}
	}
	panic(fmt.Sprintf("attribute %q is a %T, which no action has yet: add it to actionAttribute", name, attribute)) // every schema is read in tests
}

func actionObject(object schema.NestedAttributeObject) actionschema.NestedAttributeObject {
	return actionschema.NestedAttributeObject{CustomType: object.CustomType, Validators: object.Validators, Attributes: actionAttributes(object.Attributes)}
}

// asResource converts an action's object to that of the resource. An attribute that the action does not have is null, or the resource's default.
func asResource(ctx context.Context, attributes map[string]schema.Attribute, value tftypes.Value) (tftypes.Value, diag.Diagnostics) {
	var diags diag.Diagnostics
	types := map[string]tftypes.Type{}
	for name, attribute := range attributes {
		types[name] = attribute.GetType().TerraformType(ctx)
	}
	typ := tftypes.Object{AttributeTypes: types}
	given, ok := elements[map[string]tftypes.Value](value, &diags)
	if !ok {
		return sameBut(value, typ), diags
	}
	made := map[string]tftypes.Value{}
	for name, attribute := range attributes {
		field, isGiven := given[name]
		if !isGiven || field.IsNull() {
			made[name] = defaultOf(ctx, attribute, types[name])
			continue
		}
		var found diag.Diagnostics
		made[name], found = fieldAsResource(ctx, attribute, types[name], field)
		diags.Append(found...)
	}
	return tftypes.NewValue(typ, made), diags
}

func fieldAsResource(ctx context.Context, attribute schema.Attribute, typ tftypes.Type, field tftypes.Value) (tftypes.Value, diag.Diagnostics) {
	var diags diag.Diagnostics
	switch a := attribute.(type) {
	case schema.SingleNestedAttribute:
		return asResource(ctx, a.Attributes, field)
	case schema.MapNestedAttribute:
		given, ok := elements[map[string]tftypes.Value](field, &diags)
		if !ok {
			return sameBut(field, typ), diags
		}
		made := map[string]tftypes.Value{}
		for key, element := range given {
			value, found := asResource(ctx, a.NestedObject.Attributes, element)
			diags.Append(found...)
			made[key] = value
		}
		return tftypes.NewValue(typ, made), diags
	case schema.ListNestedAttribute:
		given, ok := elements[[]tftypes.Value](field, &diags)
		if !ok {
			return sameBut(field, typ), diags
		}
		made := make([]tftypes.Value, len(given))
		for i, element := range given {
			value, found := asResource(ctx, a.NestedObject.Attributes, element)
			diags.Append(found...)
			made[i] = value
		}
		return tftypes.NewValue(typ, made), diags
	}
	return field, diags
}

// elements returns the elements of a known value; false if it is null, unknown or of another kind.
func elements[T any](value tftypes.Value, diags *diag.Diagnostics) (parts T, ok bool) {
	if value.IsNull() || !value.IsKnown() {
		return parts, false
	}
	if err := value.As(&parts); err != nil {
		diags.AddError("Failed to read configuration", fmt.Sprintf("Reading a value of type %s: %s.", value.Type(), err))
		return parts, false
	}
	return parts, true
}

// sameBut returns null or unknown, as the value is, of another type.
func sameBut(value tftypes.Value, typ tftypes.Type) tftypes.Value {
	if value.IsKnown() {
		return tftypes.NewValue(typ, nil)
	}
	return tftypes.NewValue(typ, tftypes.UnknownValue)
}

// defaultOf returns the value that a plan would have instead of null.
func defaultOf(ctx context.Context, attribute schema.Attribute, typ tftypes.Type) tftypes.Value {
	switch a := attribute.(type) {
	case schema.StringAttribute:
		if a.Default != nil {
			var resp defaults.StringResponse
			a.Default.DefaultString(ctx, defaults.StringRequest{}, &resp)
			return tftypes.NewValue(typ, resp.PlanValue.ValueString())
		}
	case schema.BoolAttribute:
		if a.Default != nil {
			var resp defaults.BoolResponse
			a.Default.DefaultBool(ctx, defaults.BoolRequest{}, &resp)
			return tftypes.NewValue(typ, resp.PlanValue.ValueBool())
		}
	case schema.Int64Attribute:
		if a.Default != nil {
			var resp defaults.Int64Response
			a.Default.DefaultInt64(ctx, defaults.Int64Request{}, &resp)
			return tftypes.NewValue(typ, resp.PlanValue.ValueInt64())
		}
	}
	return tftypes.NewValue(typ, nil)
}
