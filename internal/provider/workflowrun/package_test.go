package workflowrun_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// calls is a run whose steps call functions of packages that were built with several versions of Brane, and pass their results on.
const calls = `
resource "brane_workflow_run" "test" {
  name           = "calls"
  infrastructure = "$NAMESPACE"
  inputs         = { "in/ada.txt" = { content = "Ada" }, "in/grace.txt" = { content = "Grace" } }
  defaults       = { image = "no-such-image-for-packages:1" }
  steps = {
    string    = { package = "probe:0.6.0", function = "echo", arguments = { text = { string = "naïve \"日本\" $PATH $${x}" } } }
    integer   = { package = "probe:0.6.0", function = "successor", arguments = { n = { integer = 9223372036854775806 } } }
    real      = { package = "probe:0.6.0", function = "half", arguments = { x = { real = 0.1 } } }
    whole     = { package = "probe:0.6.0", function = "half", arguments = { x = { real = 4 } } }
    boolean   = { package = "probe:0.6.0", function = "not", arguments = { b = { boolean = false } } }
    nothing   = { package = "probe:0.6.0", function = "nothing" }
    sum       = { package = "probe:0.6.0", function = "sum", arguments = { numbers = { integers = [9007199254740993, -1] } } }
    copy      = { package = "probe:0.6.0", function = "copy", arguments = { file = { file = "in/ada.txt" } } }
    again     = { package = "probe:0.6.0", function = "copy", arguments = { file = { step = "copy" } } }
    tree      = { package = "probe:0.6.0", function = "tree", arguments = { folder = { directory = "in" } }, needs = ["again"] }
    pair      = { package = "probe:0.4.0", function = "pair", arguments = { left = { string = "é" }, right = { integer = 1 } }, brane_version = "0.4.1" }
    left      = { package = "probe:0.5.0", function = "left", arguments = { pair = { step = "pair" } }, brane_version = "0.5" }
    plain     = { package = "probe:1.0.0", function = "echo", arguments = { text = { step = "left" } }, brane_version = "1" }
    path      = { package = "probe:2.0.0", function = "copy", arguments = { file = { step = "copy" } }, brane_version = "2.0.0", needs = ["tree"] }
    marked    = { package = "probe:3.0.0", function = "noisy", arguments = { text = { step = "plain" } }, brane_version = "3" }
    variables = { package = "probe:0.6.0", function = "variables", env = { BRANE_JOB_ID = "mine" } }
    own       = { package = "some-name:0.0.1", image = "$REGISTRY/library/probe:0.6.0", function = "echo", arguments = { text = { string = "own" } }, kind = "ecu" }
    program   = { image = "$TOOLS", command = ["sh", "-c", "cat /data/in/ada.txt.copy.copy > /data/program"], needs = ["again"] }
  }
  outputs = { program = { path = "program" } }
}
`

func expectReturned(kind, value string) knownvalue.Check {
	return knownvalue.ObjectPartial(map[string]knownvalue.Check{
		"status": knownvalue.StringExact("succeeded"), "return_type": knownvalue.StringExact(kind), "return_value": knownvalue.StringExact(value),
	})
}

func TestAccWorkflowRun_packages(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	location := strings.ReplaceAll(`["BRANE_APPLICATION_ID=`+`[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","BRANE_JOB_ID=mine","BRANE_LOCATION_ID=NAME","DEBUG=false","cwd=/opt/wd","program=/opt/wd/run"]`, "NAME", s.Namespace)
	variables := regexp.MustCompile("^" + strings.ReplaceAll(strings.ReplaceAll(location, `["B`, `\["B`), `run"]`, `run"\]`) + "$")
	config := s.Config(t, calls) + `
output "sum" { value = jsondecode(brane_workflow_run.test.results.sum.return_value) }
`
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
					acctest.ExpectRunValue("results", knownvalue.MapPartial(map[string]knownvalue.Check{
						"string": expectReturned("string", `"naïve \"日本\" $PATH ${x}"`), "integer": expectReturned("integer", "9223372036854775807"), "real": expectReturned("real", "0.05"), "whole": expectReturned("real", "2.0"),
						"boolean": expectReturned("boolean", "true"), "nothing": expectReturned("unit", "null"), "sum": expectReturned("integer", "9007199254740992"),
						"copy": expectReturned("File", `"in/ada.txt.copy"`), "again": expectReturned("File", `"in/ada.txt.copy.copy"`), "tree": expectReturned("string[]", `["ada.txt","ada.txt.copy","ada.txt.copy.copy","grace.txt"]`),
						"pair": expectReturned("Pair", `{"left":"é","right":1}`), "left": expectReturned("string", `"é"`), "plain": expectReturned("string", `"é"`), "path": expectReturned("string", `"/data/in/ada.txt.copy.copy"`),
						"marked": expectReturned("string", `"é"`), "own": expectReturned("string", `"own"`),
						"variables": knownvalue.ObjectPartial(map[string]knownvalue.Check{"return_value": knownvalue.StringRegexp(variables)}),
						"program":   knownvalue.ObjectPartial(map[string]knownvalue.Check{"return_type": knownvalue.Null(), "return_value": knownvalue.Null()}),
					})),
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"program": acctest.ExpectOutput("program", "Ada")})),
					statecheck.ExpectKnownOutputValue("sum", knownvalue.Int64Exact(9007199254740992)),
				},
				Check: func(*terraform.State) error { return checkUnprivileged(t.Context(), s) },
			},
			{Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: acctest.NoChange}},
			{ // another argument runs the step again, and those that take its result
				Config: strings.Replace(config, "{ real = 4 }", "{ real = 5 }", 1), PlanOnly: true, ExpectNonEmptyPlan: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectUnknownValue(acctest.RunAddress, tfjsonpath.New("results").AtMapKey("whole")),
				}},
			},
		},
	})
}

// checkUnprivileged checks that no container of a call may do more than any step.
func checkUnprivileged(ctx context.Context, s acctest.Env) error {
	var jobs batchv1.JobList
	if err := s.Client.List(ctx, &jobs, s.Namespace, "brane/run"); err != nil {
		return err
	}
	for _, job := range jobs.Items {
		for _, container := range slices.Concat(job.Spec.Template.Spec.InitContainers, job.Spec.Template.Spec.Containers) {
			security := container.SecurityContext
			if security.Privileged != nil && *security.Privileged || *security.AllowPrivilegeEscalation || !slices.Equal(security.Capabilities.Drop, []corev1.Capability{"ALL"}) || len(security.Capabilities.Add) > 0 {
				return fmt.Errorf("container %s of Job %s has %+v", container.Name, job.Name, security)
			}
			for _, variable := range container.Env {
				if variable.Name == "BRANE_CALLBACK_TO" || variable.Name == "BRANE_MOUNT_DFS" || variable.Name == "BRANE_PROXY_ADDRESS" {
					return fmt.Errorf("container %s of Job %s has %s", container.Name, job.Name, variable.Name)
				}
			}
		}
	}
	if len(jobs.Items) == 0 {
		return fmt.Errorf("there are no Jobs")
	}
	return nil
}

func TestAccWorkflowRun_packageFails(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	for name, tt := range map[string]struct {
		step string
		want []string
	}{
		"hidden": {`package = "probe:0.4.0", function = "fails", brane_version = "0.4"`, []string{
			`Step "call" of run "hidden" failed`, `the command failed with exit code 3`, `the package's program exited with code 3, which branelet of Brane 0.4 does not report`,
		}},
		"told": {`package = "probe:0.6.0", function = "crash"`, []string{
			`Step "call" of run "told" failed`, `the command failed with exit code 1`, `Traceback: the abacus is full`,
		}},
		"large": {`package = "probe:0.6.0", function = "large", arguments = { n = { integer = 1048577 } }`, []string{
			`Step "call" of run "large" failed`, `its package returned no usable result (exit code 203)`, `its result is larger than 1048576 bytes; write large values to files`,
		}},
		"missing": {`package = "probe:0.6.0", function = "echo"`, []string{
			`Step "call" of run "missing" failed`, `the command failed with exit code 255`, `argument not provided: text`, `branelet failed (its message has the reason)`,
		}},
		"none": {`package = "no-such-package:1.0.0", function = "f"`, []string{
			`Step "call" of run "none" failed`, `/library/no-such-package:1.0.0`, `ImagePull`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, name, "steps = { call = { "+tt.step+" } }")}, tt.want)
		})
	}
}

// Everything that is wrong with calls is told while planning, on its attribute and all at once.
func TestAccWorkflowRun_packagePlan(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	description, err := os.ReadFile(acctest.RepositoryPath("test/brane-package/probe/tagged.yml"))
	acctest.NoError(t, err)
	acctest.NoError(t, os.WriteFile(s.ControlPlaneFile("probe.yml"), description, 0o600))
	acctest.NoError(t, os.WriteFile(s.ControlPlaneFile("service.yml"), []byte(strings.Replace(string(description), "kind: task", "kind: service", 1)), 0o600))
	acctest.NoError(t, os.WriteFile(s.ControlPlaneFile("dsl.yml"), []byte(strings.Replace(string(description), "kind: ecu", "kind: dsl", 1)), 0o600))
	acctest.NoError(t, os.WriteFile(s.ControlPlaneFile("broken.yml"), []byte("name: ["), 0o600))
	steps := map[string]struct{ body, summary, detail string }{
		"file":      {`function = "echo", package_file = "$FOLDER/none.yml"`, "Failed to read package file", `Reading "$FOLDER/none.yml": open $FOLDER/none.yml: no such file or directory.`},
		"broken":    {`function = "echo", package_file = "$FOLDER/broken.yml"`, "Failed to read package file", `Reading "$FOLDER/broken.yml": line 1: did not find expected node content.`},
		"service":   {`function = "echo", package_file = "$FOLDER/service.yml"`, "Unsupported package", `Step "service": package "probe:1.0.0" runs services: its functions do not end`},
		"dsl":       {`function = "echo", package_file = "$FOLDER/dsl.yml"`, "Unsupported package", `Step "dsl": package "probe:1.0.0" is of kind "dsl", which no version of Brane can run.`},
		"function":  {`function = "ecko", package_file = "$FOLDER/probe.yml"`, "Unknown function", `Step "function": package "probe:1.0.0" has no function "ecko". It has: copy, crash, echo,`},
		"without":   {``, "Missing function", `Step "without" calls package "probe:1.0.0" without a function. Set function.`},
		"name":      {`function = "echo", arguments = { txt = { string = "a" } }, package_file = "$FOLDER/probe.yml"`, "Unknown argument", `Step "name": function "echo" of package "probe:1.0.0" has no argument "txt". It has: text.`},
		"missing":   {`function = "echo", package_file = "$FOLDER/probe.yml"`, "Missing argument", `Step "missing": function "echo" of package "probe:1.0.0" needs argument "text", of type string.`},
		"type":      {`function = "half", arguments = { x = { integer = 1 } }, package_file = "$FOLDER/probe.yml"`, "Invalid argument type", `Step "type": argument "x" of function "half" of package "probe:1.0.0" is of type real, not integer.`},
		"file-type": {`function = "copy", arguments = { file = { directory = "in" } }, package_file = "$FOLDER/probe.yml"`, "Invalid argument type", `is of type File, not Directory.`},
		"result":    {`function = "sum", arguments = { numbers = { step = "giver" } }, package_file = "$FOLDER/probe.yml"`, "Invalid argument type", `Step "result": argument "numbers" of function "sum" of package "probe:1.0.0" is of type integer[], but step "giver" gives string.`},
		"giver":     {`function = "echo", arguments = { text = { string = "a" } }, package_file = "$FOLDER/probe.yml"`, "", ""},
		"two":       {`function = "echo", arguments = { text = { string = "a", integer = 1 } }`, "Invalid argument", `Argument "text" of step "two": it has 2 values; it needs exactly one`},
		"no-value":  {`function = "echo", arguments = { text = {} }`, "Invalid argument", `Argument "text" of step "no-value": it has 0 values`},
		"unit":      {`function = "echo", arguments = { text = { unit = false } }`, "Invalid argument", `unit must be true`},
		"lonely":    {`function = "echo", arguments = { text = { step = "nobody" } }`, "Invalid step configuration", `argument "text" of step "lonely": "nobody" is not a step of this run.`},
		"kind":      {`function = "echo", kind = "code", brane_version = "0.6"`, "Invalid step configuration", `packages of Brane 0.6 are of kind [ecu oas], not code`},
		"long":      {`function = "echo", arguments = { text = { string = join("", [for i in range(1000) : "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"]) } }`, "Invalid step configuration", `Linux accepts at most 131071; pass large values in files`},
	}
	var body strings.Builder
	body.WriteString("steps = {\n")
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		fmt.Fprintf(&body, "    %s = { package = \"probe:1.0.0\", %s }\n", name, steps[name].body)
	}
	body.WriteString("}\n")
	config := strings.ReplaceAll(s.RunConfig(t, "wrong", body.String()), "$FOLDER", s.Directory)
	var want []string
	for _, step := range steps {
		want = append(want, step.summary, strings.ReplaceAll(step.detail, "$FOLDER", s.Directory))
	}
	acctest.ExpectError(t, resource.TestStep{Config: config, PlanOnly: true}, want)

	other := `steps = { a = { package = "probe:2.0.0", function = "echo", package_file = "$FOLDER/probe.yml" } }`
	acctest.ExpectError(t, resource.TestStep{Config: strings.ReplaceAll(s.RunConfig(t, "other", other), "$FOLDER", s.Directory), PlanOnly: true},
		[]string{"Package does not match its file", `Step "a" calls package "probe:2.0.0", but its package_file describes "probe:1.0.0".`})
	for body, want := range map[string]string{
		`package = "probe", function = "a"`:                                              `write it as name:version, for example filesystem:1.0.0`,
		`function = "a", image = "a"`:                                                    `Attribute "steps[\"a\"].package" must be specified when "steps[\"a\"].function" is specified`,
		`package = "probe:1.0.0", function = "a", command = ["b"]`:                       `Attribute "steps[\"a\"].command" cannot be specified when "steps[\"a\"].package" is specified`,
		`package = "probe:1.0.0", function = "a", brane_version = "0.3"`:                 `write 0.4, 0.5, 0.6, 1, 2, 3, 4, or a release of one of them like 0.6.3`,
		`package = "probe:1.0.0", function = "a", arguments = { f = { file = "../x" } }`: `must be relative, without . and .., doubled or trailing slashes`,
	} {
		acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, "schema", "steps = { a = { "+body+" } }"), PlanOnly: true}, []string{want})
	}
}

// What a Job is told of a call is what Brane would tell it.
func TestAccWorkflowRun_packageArguments(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	config := s.RunConfig(t, "arguments", `steps = { call = { package = "probe:0.6.0", function = "nothing", arguments = {
	  a = { reals = [1, 2.5] }, b = { strings = ["x", "é"] }, c = { booleans = [true] }, d = { files = ["in/x"] }, f = { integers = [] }, g = { directory = "in" } } } }`)
	const want = `{"a":{"v":"array","c":{"type":"real[]","entries":[{"v":"real","c":1.0},{"v":"real","c":2.5}]}},` +
		`"b":{"v":"array","c":{"type":"string[]","entries":[{"v":"unicode","c":"x"},{"v":"unicode","c":"é"}]}},` +
		`"c":{"v":"array","c":{"type":"boolean[]","entries":[{"v":"boolean","c":true}]}},` +
		`"d":{"v":"array","c":{"type":"File[]","entries":[{"v":"struct","c":{"type":"File","properties":{"url":{"v":"unicode","c":"/data/in/x"}}}}]}},` +
		`"f":{"v":"array","c":{"type":"integer[]","entries":[]}},` +
		`"g":{"v":"struct","c":{"type":"Directory","properties":{"url":{"v":"unicode","c":"/data/in"}}}}}`
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config: config,
			Check: func(*terraform.State) error {
				var jobs batchv1.JobList
				if err := s.Client.List(t.Context(), &jobs, s.Namespace, "brane/run"); err != nil {
					return err
				}
				command := jobs.Items[0].Spec.Template.Spec.Containers[0].Command
				if got := command[len(command)-4 : len(command)-1]; !slices.Equal(got, []string{"/branelet", "ecu", "nothing"}) {
					return fmt.Errorf("the Job runs %q", command)
				}
				text, err := base64.StdEncoding.DecodeString(command[len(command)-1])
				if err != nil {
					return err
				}
				if string(text) != want || !json.Valid(text) {
					return fmt.Errorf("the Job is told\n%s\nwant\n%s", text, want)
				}
				return nil
			},
		}},
	})
}
