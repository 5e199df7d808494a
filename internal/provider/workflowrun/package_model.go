package workflowrun

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// packageModel is the call of a package function, instead of a command.
type packageModel struct {
	Package      types.String             `tfsdk:"package"`
	Function     types.String             `tfsdk:"function"`
	Arguments    map[string]argumentModel `tfsdk:"arguments"`
	Kind         types.String             `tfsdk:"kind"`
	BraneVersion types.String             `tfsdk:"brane_version"`
	PackageFile  types.String             `tfsdk:"package_file"`
}

type argumentModel struct {
	Boolean   types.Bool    `tfsdk:"boolean"`
	Integer   types.Int64   `tfsdk:"integer"`
	Real      types.Float64 `tfsdk:"real"`
	String    types.String  `tfsdk:"string"`
	Unit      types.Bool    `tfsdk:"unit"`
	File      types.String  `tfsdk:"file"`
	Directory types.String  `tfsdk:"directory"`
	Booleans  types.List    `tfsdk:"booleans"`
	Integers  types.List    `tfsdk:"integers"`
	Reals     types.List    `tfsdk:"reals"`
	Strings   types.List    `tfsdk:"strings"`
	Files     types.List    `tfsdk:"files"`
	Step      types.String  `tfsdk:"step"`
}

// packageName matches what a registry accepts as the name and the tag of an image.
var packageName = regexp.MustCompile(`^[a-z0-9]+([._-]+[a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

func packageReference() validator.String {
	return attribute.NewStringRule("package reference", func(text string) []string {
		if !packageName.MatchString(text) {
			return []string{"write it as name:version, for example filesystem:1.0.0"}
		}
		return nil
	})
}

// toCall builds the call of a step and reports errors on the attributes. The default version is empty if validation runs without a configured
// provider. The versions that can be the default then encode values alike, so only the names of the kinds are not checked.
func (m packageModel) toCall(at path.Path, step string, env environment, diags *diag.Diagnostics) *workflow.Call {
	version, told := env.packageVersion, env.packageVersion != ""
	if !m.BraneVersion.IsNull() {
		parsed, err := branelet.ParseVersion(m.BraneVersion.ValueString())
		if err != nil {
			return nil // reported by the validator of the attribute
		}
		version, told = parsed, true
	}
	if version == "" {
		version = branelet.V06
	}
	if m.Function.IsNull() {
		diags.AddAttributeError(at, "Missing function", fmt.Sprintf("Step %q calls package %q without a function. Set function.", step, m.Package.ValueString()))
	}
	call := &workflow.Call{
		Package: m.Package.ValueString(), Brane: version, Kind: version.CodeKind(), Function: m.Function.ValueString(), Arguments: map[string]workflow.Argument{},
	}
	given := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(m.Arguments)) {
		argument, kind, err := m.Arguments[name].toArgument(version)
		if err != nil {
			diags.AddAttributeError(at.AtName("arguments").AtMapKey(name), "Invalid argument", fmt.Sprintf("Argument %q of step %q: %s.", name, step, err))
			continue
		}
		call.Arguments[name], given[name] = argument, kind
	}
	ofFile := diags
	if env.isStored { // the file may be on another machine, or describe a later version of the package by now
		ofFile = &diag.Diagnostics{}
	}
	if file := m.readFile(at, ofFile); file != nil {
		if file.Kind == string(branelet.OAS) {
			call.Kind = branelet.OAS
		}
		checkCall{at: at, step: step, file: *file, version: version}.checkDifferences(call, given, ofFile)
	}
	if !m.Kind.IsNull() {
		call.Kind = branelet.Kind(m.Kind.ValueString())
	}
	if !told && !slices.Contains(version.Kinds(), call.Kind) {
		call.Kind = version.CodeKind() // the plan checks it
	}
	return call
}

// toArgument returns the value of an argument, or the step whose result it is; kind is its type, empty for the result of a step.
func (m argumentModel) toArgument(version branelet.Version) (argument workflow.Argument, kind string, err error) {
	var value branelet.Value
	found := 0
	take := func(given attr.Value, of func() branelet.Value) {
		if !given.IsNull() {
			found++
			value = of()
		}
	}
	text := func(s types.String) func() branelet.Value {
		return func() branelet.Value { return branelet.String(s.ValueString()) }
	}
	take(m.Boolean, func() branelet.Value { return branelet.Boolean(m.Boolean.ValueBool()) })
	take(m.Integer, func() branelet.Value { return branelet.Integer(m.Integer.ValueInt64()) })
	take(m.Real, func() branelet.Value { return branelet.Real(m.Real.ValueFloat64()) })
	take(m.String, text(m.String))
	take(m.Unit, func() branelet.Value { return branelet.Unit{} })
	take(m.File, func() branelet.Value { return version.File(m.File.ValueString()) })
	take(m.Directory, func() branelet.Value { return version.Directory(m.Directory.ValueString()) })
	take(m.Booleans, func() branelet.Value { return array(branelet.BooleanType, m.Booleans, scalar) })
	take(m.Integers, func() branelet.Value { return array(branelet.IntegerType, m.Integers, scalar) })
	take(m.Reals, func() branelet.Value { return array(branelet.RealType, m.Reals, scalar) })
	take(m.Strings, func() branelet.Value { return array(branelet.StringType, m.Strings, scalar) })
	take(m.Files, func() branelet.Value {
		return array(version.File("").Type(), m.Files, func(element attr.Value) branelet.Value {
			if file, ok := element.(types.String); ok && !file.IsNull() {
				return version.File(file.ValueString())
			}
			return nil
		})
	})
	take(m.Step, text(m.Step))
	switch {
	case found != 1:
		return argument, "", fmt.Errorf("it has %d values; it needs exactly one, for example { integer = 3 } or { step = \"name\" }", found)
	case !m.Unit.IsNull() && !m.Unit.ValueBool():
		return argument, "", errors.New("unit must be true")
	case !m.Step.IsNull():
		return workflow.Argument{Step: m.Step.ValueString()}, "", nil
	}
	encoded, err := version.Encode(value)
	return workflow.Argument{Value: encoded}, value.Type(), err
}

// array returns a list of values of one type.
func array(of string, list types.List, entry func(attr.Value) branelet.Value) branelet.Value {
	entries := make([]branelet.Value, 0, len(list.Elements()))
	for _, element := range list.Elements() {
		entries = append(entries, entry(element))
	}
	return branelet.Array{Of: of, Entries: entries}
}

// scalar returns an element of a list; nil, which cannot be encoded, if it is null.
func scalar(element attr.Value) branelet.Value {
	if element.IsNull() {
		return nil
	}
	switch element := element.(type) {
	case types.Bool:
		return branelet.Boolean(element.ValueBool())
	case types.Int64:
		return branelet.Integer(element.ValueInt64())
	case types.Float64:
		return branelet.Real(element.ValueFloat64())
	case types.String:
		return branelet.String(element.ValueString())
	}
	return nil
}

// resultOf returns the type and the value, as JSON, of a call's result. Both are null if the step calls no function.
func resultOf(value branelet.Value, diags *diag.Diagnostics) (kind, json types.String) {
	if value == nil {
		return types.StringNull(), types.StringNull()
	}
	written, err := branelet.JSON(value)
	if err != nil {
		diags.AddError("Failed to encode result", diagnostic.ErrorDetail("Encoding the result of a step as JSON", err))
	}
	return types.StringValue(value.Type()), types.StringValue(string(written))
}

// quoteNames formats a list of names for a message.
func quoteNames(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
