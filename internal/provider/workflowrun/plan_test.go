package workflowrun_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/workflowrun"
)

// planning plans changes of a run without a cluster and without Redis.
type planning struct {
	*acctest.Protocol
	t       *testing.T
	applied map[string]tftypes.Value // what apply has returned, because each plan takes a while
}

func newPlanning(t *testing.T) planning {
	t.Helper()
	p := planning{acctest.NewProtocol(t), t, map[string]tftypes.Value{}}
	p.RequireNoErrors(p.Configure(acctest.Object{"kubernetes": acctest.Object{"host": "https://203.0.113.8:6443", "token": "own"}, "clusters": acctest.Object{"berlin": acctest.Object{"host": "https://203.0.113.9:6443", "token": "own"}}}, false).Diagnostics)
	return p
}

// runTrio is a run of three steps: a, then b, and c, which reads only one input.
func runTrio(more acctest.Object) acctest.Object {
	step := func(word string, more acctest.Object) acctest.Object {
		return acctest.MergeObjects(acctest.Object{"image": "tools:1", "command": []any{"echo", word}}, more)
	}
	return acctest.MergeObjects(acctest.Object{
		"name": "trio", "namespace": "ns",
		"inputs": acctest.Object{"in/x": acctest.Object{"content": "x"}, "in/y": acctest.Object{"content": "y"}},
		"steps": acctest.Object{
			"a": step("a", acctest.Object{"reads": []any{"in/x"}}), "b": step("b", acctest.Object{"needs": []any{"a"}, "reads": []any{"b"}}),
			"c": step("c", acctest.Object{"reads": []any{"in/y"}}),
		},
		"outputs": acctest.Object{"one": acctest.Object{"path": "one"}},
	}, more)
}

// withStep returns a configuration in which attributes of one step are changed.
func withStep(config acctest.Object, name string, change acctest.Object) acctest.Object {
	steps := maps.Clone(config["steps"].(acctest.Object)) //nolint:forcetypeassert // a configuration of this test
	was, _ := steps[name].(acctest.Object)
	steps[name] = acctest.MergeObjects(was, change)
	return acctest.MergeObjects(config, acctest.Object{"steps": steps})
}

// apply returns the state after an apply of a run that does not exist yet, in which all steps have this status.
func (p planning) apply(config acctest.Object, status map[string]string, secrets ...string) tftypes.Value {
	p.t.Helper()
	key := fmt.Sprint(config, status, secrets)
	if state, found := p.applied[key]; found {
		return state
	}
	planned := p.Plan("brane_workflow_run", config, false)
	p.RequireNoErrors(planned.Diagnostics)
	schema := p.Schemas.ResourceSchemas["brane_workflow_run"]
	values := p.DecodeAttributes(schema, planned.PlannedState)
	withSecrets := map[string]bool{}
	for _, name := range secrets {
		withSecrets[name] = true
	}
	raw, err := planned.PlannedState.Unmarshal(schema.ValueType())
	acctest.NoError(p.t, err)
	configurations, diags := workflowrun.Configurations(raw, withSecrets, "first execution")
	if diags.HasError() {
		p.t.Fatal(diags)
	}
	results, isSucceeded := acctest.Object{}, true
	for name, configuration := range configurations {
		results[name] = acctest.Object{"status": "succeeded", "digest": strings.Repeat("0", 64), "fingerprint": string(files.NewFingerprint(configuration, strings.Repeat("0", 32)))}
		if status[name] != "" {
			isSucceeded = false
			results[name] = acctest.Object{"status": status[name]}
		}
	}
	set := func(name string, value any) { values[name] = acctest.NewValue(values[name].Type(), value) }
	for name, value := range values {
		if !value.IsKnown() {
			set(name, nil)
		}
	}
	set("id", "trio-0123456789abcdef")
	set("execution_id", "first execution")
	set("results", results)
	set("drift", []any{})
	if set("status", "succeeded"); !isSucceeded {
		set("status", "failed")
	}
	if config["outputs"] != nil {
		set("outputs", acctest.Object{"one": acctest.Object{"path": "one"}})
	}
	if isSucceeded && config["outputs"] != nil {
		set("outputs", acctest.Object{"one": acctest.Object{"path": "one", "size": 1, "sha256": strings.Repeat("1", 64), "content": "1"}})
		set("outputs_digest", strings.Repeat("2", 64))
	}
	p.applied[key] = tftypes.NewValue(schema.ValueType(), values)
	return p.applied[key]
}

// plan plans a change and returns which computed attributes are unknown, of maps with their unknown elements.
func (p planning) plan(prior tftypes.Value, private []byte, config acctest.Object) (unknown string, resp *tfprotov6.PlanResourceChangeResponse) {
	p.t.Helper()
	resp = p.PlanUpdate("brane_workflow_run", prior, private, config)
	p.RequireNoErrors(resp.Diagnostics)
	values := p.DecodeAttributes(p.Schemas.ResourceSchemas["brane_workflow_run"], resp.PlannedState)
	var all []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch value := values[name]; {
		case value.IsFullyKnown() || slices.Contains([]string{"defaults", "inputs", "steps", "triggers"}, name):
		case value.IsKnown():
			all = append(all, name+"["+strings.Join(p.ListUnknown(value), " ")+"]")
		default:
			all = append(all, name)
		}
	}
	return strings.Join(all, " "), resp
}

// executes is what is unknown in every plan of an execution, without the steps.
func executes(steps string) string {
	results := " results[" + steps + "]"
	if steps == "" {
		results = ""
	}
	return "duration execution_id finished_at outputs[one] outputs_digest" + results + " started_at status"
}

// withImages adds the images of a plan that does not know which steps have no command.
func withImages(unknown string) string {
	return strings.Replace(unknown, "outputs[one]", "images outputs[one]", 1)
}

func TestPlanOfAnUpdate(t *testing.T) {
	p := newPlanning(t)
	config := runTrio(nil)
	state := p.apply(config, nil)
	content := func(x, y any) acctest.Object {
		return acctest.MergeObjects(config, acctest.Object{"inputs": acctest.Object{"in/x": acctest.Object{"content": x}, "in/y": acctest.Object{"content": y}}})
	}
	without := func(name string) acctest.Object {
		steps := maps.Clone(config["steps"].(acctest.Object)) //nolint:forcetypeassert // a configuration of this test
		delete(steps, name)
		return acctest.MergeObjects(config, acctest.Object{"steps": steps})
	}
	gone, err := json.Marshal(map[string][]byte{"gone": []byte(`["a"]`)})
	acctest.NoError(t, err)
	for name, tt := range map[string]struct {
		config  acctest.Object
		private []byte
		want    string
	}{
		"nothing":                   {config, nil, ""},
		"a memory limit":            {withStep(config, "a", acctest.Object{"resources": acctest.Object{"limits": acctest.Object{"memory": "1Gi"}}}), nil, ""},
		"a setting of the run":      {acctest.MergeObjects(config, acctest.Object{"parallelism": 2}), nil, ""},
		"a command":                 {withStep(config, "b", acctest.Object{"command": []any{"other"}}), nil, executes("b")},
		"the command of a need":     {withStep(config, "a", acctest.Object{"command": []any{"other"}}), nil, executes("a b")},
		"triggers of a step":        {withStep(config, "c", acctest.Object{"triggers": acctest.Object{"v": "1"}}), nil, executes("c")},
		"triggers of the run":       {acctest.MergeObjects(config, acctest.Object{"triggers": acctest.Object{"v": "1"}}), nil, executes("a b c")},
		"cache":                     {withStep(config, "c", acctest.Object{"cache": false}), nil, ""},
		"cache, and another change": {withStep(withStep(config, "c", acctest.Object{"cache": false}), "b", acctest.Object{"command": []any{"other"}}), nil, executes("b c")},
		"an input":                  {content("x", "other"), nil, executes("c")},
		"another input":             {content("other", "y"), nil, executes("a b")},
		"a step more":               {withStep(config, "d", acctest.Object{"image": "tools:1", "command": []any{"d"}, "reads": []any{"d"}}), nil, executes("d")},
		"a step less":               {without("c"), nil, "outputs_digest"},
		"another output":            {acctest.MergeObjects(config, acctest.Object{"outputs": acctest.Object{"one": acctest.Object{"path": "other"}}}), nil, "outputs[one] outputs_digest"},
		"an unknown command":        {withStep(config, "a", acctest.Object{"command": []any{"echo", acctest.Unknown}}), nil, withImages(executes("a b"))},
		"an unknown limit":          {withStep(config, "a", acctest.Object{"resources": acctest.Object{"limits": acctest.Object{"memory": acctest.Unknown}}}), nil, ""},
		"unknown labels":            {withStep(config, "a", acctest.Object{"labels": acctest.Object{"a": acctest.Unknown}}), nil, ""},
		"an unknown need":           {withStep(config, "b", acctest.Object{"needs": []any{acctest.Unknown}}), nil, withImages(executes("a b c"))},
		"an unknown input":          {content("x", acctest.Unknown), nil, executes("c")},
		"unknown inputs":            {acctest.MergeObjects(config, acctest.Object{"inputs": acctest.Unknown}), nil, executes("a b c")},
		"unknown triggers":          {acctest.MergeObjects(config, acctest.Object{"triggers": acctest.Object{"v": acctest.Unknown}}), nil, withImages(executes("a b c"))},
		"an unknown default":        {acctest.MergeObjects(config, acctest.Object{"defaults": acctest.Object{"image": acctest.Unknown}}), nil, withImages(executes("a b c"))},
		"an unknown step":           {withStep(config, "a", acctest.Object{"image": acctest.Unknown}), nil, executes("a b")},
		"an unknown output":         {acctest.MergeObjects(config, acctest.Object{"outputs": acctest.Object{"one": acctest.Object{"path": acctest.Unknown}}}), nil, "outputs[one] outputs_digest"},
		"files that nothing needs":  {config, gone, ""},
		"files that a step needs":   {withStep(config, "b", acctest.Object{"command": []any{"other"}}), gone, executes("a b")},
		"a report":                  {acctest.MergeObjects(config, acctest.Object{"report_path": "report.html"}), nil, "report_written_at"},
	} {
		t.Run(name, func(t *testing.T) {
			got, resp := p.plan(state, tt.private, tt.config)
			if got != tt.want {
				t.Errorf("unknown are %s\nwant %s", got, tt.want)
			}
			if len(resp.RequiresReplace) > 0 {
				t.Errorf("it is replaced because of %v", resp.RequiresReplace)
			}
		})
	}
}

// A run that has not succeeded is executed by every apply; its completed steps keep their results unless a change affects them.
func TestPlanOfAFailedRun(t *testing.T) {
	p := newPlanning(t)
	config := runTrio(nil)
	for name, tt := range map[string]struct {
		status map[string]string
		config acctest.Object
		want   string
	}{
		"unchanged":              {map[string]string{"b": "failed", "c": "stopped"}, config, executes("b c")},
		"fixed":                  {map[string]string{"b": "failed"}, withStep(config, "b", acctest.Object{"command": []any{"other"}}), executes("b")},
		"a need changed as well": {map[string]string{"b": "failed"}, withStep(config, "a", acctest.Object{"command": []any{"other"}}), executes("a b")},
		"without outputs": {
			map[string]string{"a": "failed", "b": "skipped"}, acctest.MergeObjects(config, acctest.Object{"outputs": nil}), "duration execution_id finished_at results[a b] started_at status",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, resp := p.plan(p.apply(config, tt.status), nil, tt.config)
			if got != tt.want || len(resp.RequiresReplace) > 0 {
				t.Errorf("unknown are %s\nwant %s; it is replaced because of %v", got, tt.want, resp.RequiresReplace)
			}
		})
	}
}

// The name and the place of a run replace it, and nothing else does.
func TestPlanOfAReplacement(t *testing.T) {
	p := newPlanning(t)
	config := runTrio(nil)
	state := p.apply(config, nil)
	for name, tt := range map[string]struct {
		change acctest.Object
		want   string
	}{
		"name":              {acctest.Object{"name": "other"}, `[AttributeName("name")]`},
		"namespace":         {acctest.Object{"namespace": "other"}, `[AttributeName("namespace")]`},
		"unknown namespace": {acctest.Object{"namespace": acctest.Unknown}, `[AttributeName("namespace")]`},
		"infrastructure":    {acctest.Object{"namespace": nil, "infrastructure": "i"}, `[AttributeName("infrastructure")]`},
		"both":              {acctest.Object{"name": "other", "namespace": "other"}, `[AttributeName("name") AttributeName("namespace")]`},
		"retention":         {acctest.Object{"retention": "72h"}, `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			resp := p.PlanUpdate("brane_workflow_run", state, nil, acctest.MergeObjects(config, tt.change))
			p.RequireNoErrors(resp.Diagnostics)
			var got []string
			for _, at := range resp.RequiresReplace {
				got = append(got, at.String())
			}
			if text := "[" + strings.Join(got, " ") + "]"; text != tt.want {
				t.Errorf("it is replaced because of %s, want %s", text, tt.want)
			}
		})
	}
}

// The steps with a secret environment run again when its version changes, and the names of these steps are known although the values are not.
func TestPlanOfASecretVersion(t *testing.T) {
	p := newPlanning(t)
	config := func(version int) acctest.Object {
		return runTrio(acctest.Object{"secret_env_wo": acctest.Object{"c": acctest.Object{"TOKEN": acctest.Unknown}}, "secret_env_wo_version": version})
	}
	state := p.apply(config(1), nil, "c")
	if got, _ := p.plan(state, nil, config(1)); got != "" {
		t.Errorf("without a change, unknown are %s", got)
	}
	if got, _ := p.plan(state, nil, config(2)); got != executes("c") {
		t.Errorf("with another version, unknown are %s", got)
	}
	without := acctest.MergeObjects(config(1), acctest.Object{"secret_env_wo": nil, "secret_env_wo_version": nil})
	if got, _ := p.plan(state, nil, without); got != executes("c") {
		t.Errorf("without secrets, unknown are %s", got)
	}
}

// Until the whole secret environment is known, it is not known which steps run, so that the plan in the apply can only be more precise.
func TestPlanWithUnknownSecretEnv(t *testing.T) {
	p := newPlanning(t)
	with := func(env any) acctest.Object {
		return runTrio(acctest.Object{"secret_env_wo": env, "secret_env_wo_version": 1})
	}
	known := with(acctest.Object{"c": acctest.Object{"TOKEN": "s3cret"}})
	for name, state := range map[string]tftypes.Value{"added": p.apply(runTrio(nil), nil), "unchanged": p.apply(known, nil, "c")} {
		first, _ := p.plan(state, nil, with(acctest.Unknown))
		second, _ := p.plan(state, nil, known)
		if !strings.Contains(first, "results[a b c]") {
			t.Errorf("%s: unknown are %q, and then %q", name, first, second)
		}
	}
}

// Lost outputs are read again in place: from the files of the steps, or by running the steps that are needed for them.
func TestPlanOfLostOutputs(t *testing.T) {
	p := newPlanning(t)
	config := runTrio(nil)
	schema := p.Schemas.ResourceSchemas["brane_workflow_run"]
	values := map[string]tftypes.Value{}
	acctest.NoError(t, p.apply(config, nil).As(&values))
	values["drift"] = acctest.NewValue(values["drift"].Type(), []any{"output \"one\" (one) was lost in Redis"})
	state := tftypes.NewValue(schema.ValueType(), values)
	for private, want := range map[string]string{"": "outputs_digest", `["a"]`: "outputs_digest", `["b"]`: executes("b"), `["a","b"]`: executes("a b")} {
		text, err := json.Marshal(map[string][]byte{"gone": []byte(private)})
		acctest.NoError(t, err)
		if private == "" {
			text = nil
		}
		if got, resp := p.plan(state, text, config); got != want || len(resp.RequiresReplace) > 0 {
			t.Errorf("if the files of %s are gone, unknown are %s\nwant %s; it is replaced because of %v", private, got, want, resp.RequiresReplace)
		}
	}
}

// An engine that executes a run continues if only the outputs change; other changes execute the run again.
func TestPlanOfARunningRun(t *testing.T) {
	p := newPlanning(t)
	config := runTrio(acctest.Object{"wait": false})
	running := func(status map[string]string) tftypes.Value {
		values := map[string]tftypes.Value{}
		acctest.NoError(t, p.apply(config, status).As(&values))
		values["status"] = acctest.NewValue(values["status"].Type(), "running")
		return tftypes.NewValue(p.Schemas.ResourceSchemas["brane_workflow_run"].ValueType(), values)
	}
	state := running(map[string]string{"b": "x", "c": "x"})
	for name, tt := range map[string]struct {
		config acctest.Object
		want   string
	}{
		"nothing":                         {config, ""},
		"waits":                           {acctest.MergeObjects(config, acctest.Object{"wait": true}), executes("b c")},
		"waits, and all steps have ended": {acctest.MergeObjects(config, acctest.Object{"wait": true}), executes("")},
		"a command":                       {withStep(config, "a", acctest.Object{"command": []any{"other"}}), executes("a b c")},
		"a limit":                         {withStep(config, "b", acctest.Object{"retries": 3}), executes("b c")},
		"a limit, and waits":              {withStep(acctest.MergeObjects(config, acctest.Object{"wait": true}), "b", acctest.Object{"retries": 3}), executes("b c")},
		"the retention":                   {acctest.MergeObjects(config, acctest.Object{"retention": "72h"}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			was := state
			if tt.want == executes("") {
				was = running(nil)
			}
			if got, resp := p.plan(was, nil, tt.config); got != tt.want || len(resp.RequiresReplace) > 0 {
				t.Errorf("unknown are %s\nwant %s; it is replaced because of %v", got, tt.want, resp.RequiresReplace)
			}
		})
	}
}
