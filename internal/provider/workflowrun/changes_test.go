package workflowrun_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// What the tables of the guide "What runs again" say about attributes.
const (
	isReplaced  = "the run is replaced, and all steps run"
	runsAll     = "all steps run again"
	runsStep    = "the step runs again"
	runsNothing = "nothing runs again"
)

// change is a change of one attribute of the run, or of the step last of a run in which that needs the step first.
type change struct {
	is   any
	was  acctest.Object // other attributes, before the change
	runs string         // the steps that may run, if the table does not say it in one of the words above
}

// stepChanges are changes of all attributes of a step.
func stepChanges(t *testing.T) map[string]change {
	t.Helper()
	description := filepath.Join(t.TempDir(), "package.yml")
	acctest.NoError(t, os.WriteFile(description, []byte("name: p\nversion: 1.0.0\nkind: ecu\nentrypoint: { kind: task, exec: run }\nactions:\n  f:\n    command: { args: [] }\n    input: []\n    output: []\n"), 0o600))
	call := acctest.Object{"command": nil, "package": "p:1.0.0", "function": "f"}
	fan := acctest.Object{"completions": 2}
	return map[string]change{
		"image": {is: "tools:2"}, "command": {is: []any{"other"}}, "args": {is: []any{"x"}}, "working_dir": {is: "/x"},
		"env": {is: acctest.Object{"A": "1"}}, "env_from_secret": {is: acctest.Object{"A": acctest.Object{"secret": "s", "key": "k"}}},
		"package": {is: "p:2.0.0", was: call}, "function": {is: "g", was: call}, "kind": {is: "oas", was: call}, "brane_version": {is: "0.4", was: call},
		"arguments": {is: acctest.Object{"x": acctest.Object{"integer": 1}}, was: call}, "package_file": {is: description, was: call},
		"reads": {is: []any{"x"}}, "writes": {is: []any{"x"}}, "triggers": {is: acctest.Object{"a": "b"}}, "cache": {is: false},
		"volumes":          {is: acctest.Object{"v": acctest.Object{"mount_path": "/v", "config_map": "c"}}},
		"security_context": {is: acctest.Object{"run_as_user": 1000}}, "service_account_name": {is: "x"}, "automount_service_account_token": {is: true},
		"host_aliases": {is: []any{acctest.Object{"ip": "203.0.113.7", "hostnames": []any{"a.example.org"}}}},
		"dns_config":   {is: acctest.Object{"searches": []any{"example.org"}}}, "pod_patch": {is: `{"spec":{"hostname":"x"}}`},
		"needs": {is: []any{"first", "beside"}, runs: "last"}, "items": {is: []any{"x"}, runs: "last"}, "completions": {is: 3, was: fan, runs: "last"},
		"timeout": {is: "10m"}, "retries": {is: 1}, "resources": {is: acctest.Object{"limits": acctest.Object{"memory": "1Gi"}}}, "data_size_limit": {is: "1Gi"},
		"parallelism": {is: 1, was: fan}, "max_failed_indexes": {is: 1, was: fan}, "when": {is: "always"}, "allow_failure": {is: true},
		"node_selector": {is: acctest.Object{"a": "b"}}, "tolerations": {is: []any{acctest.Object{"operator": "Exists"}}}, "affinity": {is: `{"nodeAffinity":{}}`},
		"topology_spread_constraints": {is: []any{acctest.Object{"topology_key": "kubernetes.io/hostname"}}},
		"priority_class_name":         {is: "p"}, "runtime_class_name": {is: "r"}, "scheduler_name": {is: "s"}, "image_pull_secrets": {is: []any{"s"}},
		"resource_claims": {is: acctest.Object{"c": acctest.Object{"resource_claim_name": "c"}}}, "termination_grace_period_seconds": {is: 60},
		"labels": {is: acctest.Object{"a": "b"}}, "annotations": {is: acctest.Object{"a": "b"}},
	}
}

// runChanges are changes of all attributes of a run but its steps and defaults.
func runChanges() map[string]change {
	secret := acctest.Object{"secret_env_wo": acctest.Object{"last": acctest.Object{"A": "1"}}, "secret_env_wo_version": 1}
	return map[string]change{
		"name": {is: "other"}, "infrastructure": {is: "other", was: acctest.Object{"namespace": nil, "infrastructure": "i"}}, "namespace": {is: "other"}, "cluster": {is: "berlin"},
		"inputs":   {is: acctest.Object{"x": acctest.Object{"content": "x"}}, runs: "beside first last"},
		"triggers": {is: acctest.Object{"a": "b"}}, "pod_patch": {is: `{"spec":{"hostname":"x"}}`},
		"secret_env_wo_version": {is: 2, was: secret, runs: "last"}, "secret_env_wo": {is: acctest.Object{"last": acctest.Object{"A": "2"}}, was: secret},
		"outputs": {is: acctest.Object{"one": acctest.Object{"path": "other"}}}, "submit_with": {is: "provider", was: acctest.Object{"namespace": nil, "infrastructure": "i"}},
		"labels": {is: acctest.Object{"a": "b"}}, "annotations": {is: acctest.Object{"a": "b"}}, "engine": {is: acctest.Object{"priority_class_name": "p"}},
		"parallelism": {is: 1}, "startup_timeout": {is: "1m"}, "scheduling_timeout": {is: "1m"}, "prewarm": {is: true}, "agent_injection": {is: "init_container"},
		"wait": {is: false}, "on_interrupt": {is: "detach"}, "retention": {is: "72h"}, "report_path": {is: "report.html"}, "timeouts": {is: acctest.Object{"create": "2h"}},
	}
}

// readTables returns what the guide says about each attribute of a run, and of a step.
func readTables(t *testing.T) (ofRun, ofStep map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../../../templates/guides/what-runs-again.md")
	acctest.NoError(t, err)
	parts := strings.Split(string(text), "\n## Attributes of a ")
	if len(parts) != 3 {
		t.Fatalf("the guide has %d sections about attributes", len(parts)-1)
	}
	rows := func(section string) map[string]string {
		found := map[string]string{}
		for _, row := range regexp.MustCompile(`(?m)^\| (.*) \| (.*) \|$`).FindAllStringSubmatch(section, -1) {
			for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[1], -1) {
				if found[name[1]] != "" {
					t.Errorf("the table has %s twice", name[1])
				}
				found[name[1]] = row[2]
			}
		}
		return found
	}
	return rows(parts[1]), rows(parts[2])
}

// runPair is a run in which last needs first, and beside is alone.
func runPair(more acctest.Object) acctest.Object {
	step := func(more acctest.Object) acctest.Object {
		return acctest.MergeObjects(acctest.Object{"image": "tools:1", "command": []any{"true"}}, more)
	}
	return acctest.MergeObjects(acctest.Object{
		"name": "pair", "namespace": "ns", "outputs": acctest.Object{"one": acctest.Object{"path": "one"}},
		"steps": acctest.Object{"first": step(nil), "beside": step(nil), "last": step(acctest.Object{"needs": []any{"first"}})},
	}, more)
}

// findRuns returns what a change of a configuration does: the steps that may run, or that the run is replaced.
func (p planning) findRuns(before, after acctest.Object, secrets ...string) string {
	p.t.Helper()
	resp := p.PlanUpdate("brane_workflow_run", p.apply(before, nil, secrets...), nil, after)
	p.RequireNoErrors(resp.Diagnostics)
	if len(resp.RequiresReplace) > 0 {
		return isReplaced
	}
	return strings.Join(p.ListUnknown(p.DecodeAttributes(p.Schemas.ResourceSchemas["brane_workflow_run"], resp.PlannedState)["results"]), " ")
}

// The tables of the guide and the descriptions of the attributes say what the plan does.
func TestGuideSaysWhatRunsAgain(t *testing.T) {
	p := newPlanning(t)
	ofRun, ofStep := readTables(t)
	attributes := map[string]*tfprotov6.SchemaAttribute{}
	for _, attribute := range p.Schemas.ResourceSchemas["brane_workflow_run"].Block.Attributes {
		if attribute.Required || attribute.Optional {
			attributes[attribute.Name] = attribute
		}
	}
	nested := func(name string) map[string]*tfprotov6.SchemaAttribute {
		found := map[string]*tfprotov6.SchemaAttribute{}
		for _, attribute := range attributes[name].NestedType.Attributes {
			found[attribute.Name] = attribute
		}
		return found
	}
	says := func(t *testing.T, name, row, got string, c change, all, one string) {
		t.Helper()
		want, isPlain := map[string]string{isReplaced: isReplaced, runsAll: all, runsStep: one, runsNothing: ""}[row]
		if !isPlain {
			want = c.runs
		}
		if got != want {
			t.Errorf("%s: %q may run, and the guide says: %s", name, got, row)
		}
	}
	steps, defaults := nested("steps"), nested("defaults")
	changes := stepChanges(t)
	for _, name := range slices.Sorted(maps.Keys(steps)) {
		t.Run("step "+name, func(t *testing.T) {
			c, isTested := changes[name]
			if ofStep[name] == "" || !isTested {
				t.Fatalf("the guide says %q, and a change is tested: %t", ofStep[name], isTested)
			}
			before := withStep(runPair(nil), "last", c.was)
			says(t, name, ofStep[name], p.findRuns(before, withStep(before, "last", acctest.Object{name: c.is})), c, "", "last")
			if text := steps[name].Description; strings.Contains(text, "Changing this runs the step again.") && ofStep[name] != runsStep ||
				strings.Contains(text, "Changing this does not run anything again.") && ofStep[name] != runsNothing {
				t.Errorf("its description ends with: %s\nand the guide says: %s", text[max(0, len(text)-60):], ofStep[name])
			}
			if defaults[name] != nil && name != "image" {
				without := acctest.MergeObjects(before, acctest.Object{"defaults": acctest.Object{}})
				says(t, "default "+name, ofStep[name], p.findRuns(without, acctest.MergeObjects(without, acctest.Object{"defaults": acctest.Object{name: c.is}})), c, "", "beside first last")
			}
		})
	}
	changes = runChanges()
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if name == "steps" || name == "defaults" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			c, isTested := changes[name]
			if ofRun[name] == "" || !isTested {
				t.Fatalf("the guide says %q, and a change is tested: %t", ofRun[name], isTested)
			}
			before := runPair(c.was)
			row := ofRun[name]
			if name == "secret_env_wo" || name == "outputs" {
				row = runsNothing // of the values alone, and of the steps
			}
			var secrets []string
			if c.was["secret_env_wo"] != nil {
				secrets = []string{"last"}
			}
			says(t, name, row, p.findRuns(before, acctest.MergeObjects(before, acctest.Object{name: c.is}), secrets...), c, "beside first last", "")
		})
	}
	for _, known := range []map[string]string{ofRun, ofStep} {
		for name := range known {
			if attributes[name] == nil && steps[name] == nil {
				t.Errorf("the guide has %q, which is no attribute", name)
			}
		}
	}
}
