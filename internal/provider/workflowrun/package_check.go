package workflowrun

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet/packagefile"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// readFile returns the package's description; nil if there is none, or if it cannot be read, which is reported.
func (m packageModel) readFile(at path.Path, diags *diag.Diagnostics) *packagefile.Package {
	if m.PackageFile.IsNull() {
		return nil
	}
	name := m.PackageFile.ValueString()
	file, err := packagefile.ReadFile(name)
	if err != nil {
		diags.AddAttributeError(at.AtName("package_file"), "Failed to read package file",
			fmt.Sprintf("Reading %q: %s. Set the path of the package.yml or container.yml of the package; the file must exist when Terraform plans.", name, err))
		return nil
	}
	return &file
}

// checkCall compares a call with the package's description of the function. No message contains the value of an argument.
type checkCall struct {
	at      path.Path
	step    string
	file    packagefile.Package
	version branelet.Version
}

// checkDifferences reports the differences between a call, whose arguments have the given types, and the description.
func (c checkCall) checkDifferences(call *workflow.Call, given map[string]string, diags *diag.Diagnostics) {
	if named := c.file.Name + ":" + c.file.Version; named != call.Package && (c.file.Version != "" || call.Package != c.file.Name) && c.file.Version != "latest" {
		diags.AddAttributeError(c.at.AtName("package"), "Package does not match its file",
			fmt.Sprintf("Step %q calls package %q, but its package_file describes %q.", c.step, call.Package, named))
		return
	}
	if c.file.Kind == "dsl" || c.file.Kind == "cwl" {
		diags.AddAttributeError(c.at.AtName("package_file"), "Unsupported package", fmt.Sprintf("Step %q: package %q is of kind %q, which no version of Brane can run.", c.step, call.Package, c.file.Kind))
		return
	}
	if c.file.Detached {
		diags.AddAttributeError(c.at.AtName("package_file"), "Unsupported package",
			fmt.Sprintf("Step %q: package %q runs services: its functions do not end, so the step would not either. Run its command as an ordinary step.", c.step, call.Package))
		return
	}
	function, found := c.file.Functions[call.Function]
	if !found {
		if call.Function != "" {
			diags.AddAttributeError(c.at.AtName("function"), "Unknown function", fmt.Sprintf("Step %q: package %q has no function %q. It has: %s.", c.step, call.Package, call.Function, quoteNames(c.file.Names())))
		}
		return
	}
	c.checkArguments(call, function, given, diags)
}

func (c checkCall) checkArguments(call *workflow.Call, function packagefile.Function, given map[string]string, diags *diag.Diagnostics) {
	var known []string
	for _, parameter := range function.Parameters {
		known = append(known, parameter.Name)
		if _, found := call.Arguments[parameter.Name]; !found {
			if _, wrong := given[parameter.Name]; !wrong {
				diags.AddAttributeError(c.at.AtName("arguments"), "Missing argument",
					fmt.Sprintf("Step %q: function %q of package %q needs argument %q, of type %s.", c.step, call.Function, call.Package, parameter.Name, parameter.Type))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(call.Arguments)) {
		at := c.at.AtName("arguments").AtMapKey(name)
		parameter, found := function.Parameter(name)
		switch {
		case !found:
			diags.AddAttributeError(at, "Unknown argument", fmt.Sprintf("Step %q: function %q of package %q has no argument %q. It has: %s.", c.step, call.Function, call.Package, name, quoteNames(known)))
		case given[name] != "" && !c.version.Accepts(parameter.Type, given[name]):
			diags.AddAttributeError(at, "Invalid argument type",
				fmt.Sprintf("Step %q: argument %q of function %q of package %q is of type %s, not %s.", c.step, name, call.Function, call.Package, parameter.Type, given[name]))
		case parameter.Secret:
			diags.AddAttributeWarning(at, "Secret argument in a Job",
				fmt.Sprintf("Step %q: argument %q of function %q is confidential to package %q, but arguments are stored in plaintext in the Job, readable by anyone with permission to get Jobs, and in the Terraform state. "+
					"Pass the secret another way, for example with env_from_secret.", c.step, name, call.Function, call.Package))
		}
	}
}

// checkResults compares the types of results that calls pass to each other, if both packages have descriptions.
func checkResults(steps map[string]stepModel, calls map[string]*workflow.Call, diags *diag.Diagnostics) {
	files := map[string]packagefile.Package{}
	for name, model := range steps {
		if file, err := packagefile.ReadFile(model.PackageFile.ValueString()); err == nil && !model.PackageFile.IsNull() {
			files[name] = file
		}
	}
	for _, taker := range slices.Sorted(maps.Keys(calls)) {
		call := calls[taker]
		for _, name := range slices.Sorted(maps.Keys(call.Arguments)) {
			giver := call.Arguments[name].Step
			from, to := calls[giver], files[taker].Functions[call.Function]
			parameter, declared := to.Parameter(name)
			if from == nil || !declared {
				continue
			}
			function, declared := files[giver].Functions[from.Function]
			if !declared || call.Brane != from.Brane || call.Brane.Accepts(parameter.Type, function.Returns) {
				continue // types of different versions are compared when the value is known
			}
			diags.AddAttributeError(path.Root("steps").AtMapKey(taker).AtName("arguments").AtMapKey(name), "Invalid argument type",
				fmt.Sprintf("Step %q: argument %q of function %q of package %q is of type %s, but step %q gives %s.", taker, name, call.Function, call.Package, parameter.Type, giver, function.Returns))
		}
	}
}
