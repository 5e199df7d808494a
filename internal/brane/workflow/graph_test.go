package workflow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

func TestNewGraph(t *testing.T) {
	for name, tt := range map[string]struct {
		steps []workflow.Step
		want  string
	}{
		"no step at all":                   {nil, "a run needs at least one step"},
		"a need is no step":                {workflowtest.Steps("a: x"), `step "a" needs "x", which is not a step of this run`},
		"a step needs itself":              {workflowtest.Steps("a: a"), "steps need each other: a → a"},
		"a cycle beside another problem":   {workflowtest.Steps("a: x", "b: c", "c: b"), "step \"a\" needs \"x\", which is not a step of this run\nsteps need each other: b → c → b"},
		"two steps wait for each other":    {workflowtest.Steps("a: b", "b: a"), "steps need each other: a → b → a"},
		"a cycle behind a step that is ok": {workflowtest.Steps("a: b", "b: c", "c: d", "d: b"), "steps need each other: b → c → d → b"},
		"a name that is no DNS label":      {workflowtest.Steps("A_b"), `step name "A_b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
		"a name that is too long":          {workflowtest.Steps(strings.Repeat("a", 41)), fmt.Sprintf("step name %q: must be no more than 40 characters", strings.Repeat("a", 41))},
		"a condition on nothing":           {[]workflow.Step{{Name: "a", When: workflow.Always}}, `step "a" has a condition on the steps that it needs, but needs none`},
		"patterns that JSON writes longer": {[]workflow.Step{{Name: "a", Reads: []string{strings.Repeat("<", 4_000), strings.Repeat("<", 4_000)}, Writes: []string{strings.Repeat("<", 4_000), strings.Repeat("<", 4_000), strings.Repeat("<", 4_000), strings.Repeat("<", 4_000)}}},
			`step "a": the patterns of reads and writes that its pod is given have 144691 bytes, Linux accepts at most 131071; use fewer patterns`},
		"many long items": {[]workflow.Step{{Name: "a", Completions: 10_000, Items: slices.Repeat([]string{strings.Repeat("<", 1_000)}, 10_000)}}, "<nil>"},
		"a diamond":       {workflowtest.Steps("a", "b: a", "c: a", "d: b c"), "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := workflow.NewGraph(tt.steps); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestGraphKnowsItsWays uses the graph
//
//	a → b → d → e
//	a → c ↗
//	f (alone).
func TestGraphKnowsItsWays(t *testing.T) {
	g := workflowtest.Graph(t, "e: d", "d: c b", "c: a", "b: a", "a", "f")
	if got := fmt.Sprint(g.Steps()); got != "[a b c d e f]" {
		t.Errorf("order %s", got)
	}
	for name, tt := range map[string]struct {
		nothing          []string
		leaves, ancestry string // of all, and of d
	}{
		"all left files":             {nil, "[e f]", "map[a:[] b:[a] c:[a] d:[b c]]"},
		"a parent left nothing":      {[]string{"c"}, "[e f]", "map[a:[] b:[a] d:[a b]]"},
		"no parent left anything":    {[]string{"b", "c"}, "[e f]", "map[a:[] d:[a]]"},
		"no ancestor left anything":  {[]string{"a", "b", "c"}, "[e f]", "map[d:[]]"},
		"the last left nothing":      {[]string{"e"}, "[d f]", "map[a:[] b:[a] c:[a] d:[b c]]"},
		"the last two left nothing":  {[]string{"d", "e"}, "[b c f]", "map[a:[] b:[a] c:[a] d:[b c]]"},
		"only one of all left files": {[]string{"b", "c", "d", "e", "f"}, "[a]", "map[a:[] d:[a]]"},
	} {
		t.Run(name, func(t *testing.T) {
			nothing := func(step string) bool { return slices.Contains(tt.nothing, step) }
			if got, _ := g.Leaves(nothing); fmt.Sprint(got) != tt.leaves {
				t.Errorf("leaves %s, want %s", got, tt.leaves)
			}
			if got := fmt.Sprint(g.Ancestry("d", nothing)); got != tt.ancestry {
				t.Errorf("ancestry of d %s, want %s", got, tt.ancestry)
			}
		})
	}
}

func TestObjectNamesFitIntoALabel(t *testing.T) {
	long := strings.Repeat("x", 40)
	one, two := workflow.ObjectName("brane", long+"-3f9a1c0227d5e8b4", long), workflow.ObjectName("brane", long+"-3f9a1c0227d5e8b4", long[:39]+"y")
	if len(one) > 63 || len(two) > 63 || one == two {
		t.Errorf("%q and %q", one, two)
	}
	if got := workflow.ObjectName("brane", "w-3f9a1c0227d5e8b4", "count"); got != "brane-w-3f9a1c0227d5e8b4-count" {
		t.Errorf("got %q", got)
	}
}

// The longest id of a run fits into the names of its objects, and into a label.
func TestLongestID(t *testing.T) {
	id := workflow.RunID(strings.Repeat("x", workflow.MaxName), "https://k8s.example.org:6443", "brane")
	ref := workflow.Ref{ID: id, Namespace: "brane"}
	names := map[string]bool{}
	for _, name := range []string{ref.ObjectName(), ref.EngineName(), ref.AccessName("0f5c3a21-1"), ref.SecretEnvName("0f5c3a21-1"), ref.EngineAccessName("0f5c3a21-1"), ref.AccessName("0f5c3a21-2")} {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 || names[name] {
			t.Errorf("name %q: %q", name, problems)
		}
		names[name] = true
	}
	if ref.ObjectName() != "brane-"+id {
		t.Errorf("the record is named %s", ref.ObjectName())
	}
	for label, value := range ref.ComponentLabels("step") {
		if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
			t.Errorf("label %s=%s: %q", label, value, problems)
		}
	}
}

// A graph has the configuration of each step, unless the caller has computed it with triggers.
func TestGraphWithConfigurations(t *testing.T) {
	const given, other = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	before := workflowtest.GraphOf(t, workflow.Step{Name: "a", Image: "busybox"}, workflow.Step{Name: "b", Image: "alpine", Configuration: given})
	if a, b := before.Step("a"), before.Step("b"); a.Configuration != a.DigestConfiguration(workflow.Triggers{}) || b.Configuration != given {
		t.Errorf("the configurations are %q and %q", a.Configuration, b.Configuration)
	}
	after := before.WithConfigurations(map[string]string{"b": other, "c": other})
	if before.Step("b").Configuration != given || after.Step("b").Configuration != other || after.Step("a").Configuration != before.Step("a").Configuration || after.HasStep("c") {
		t.Errorf("before %+v, after %+v", before.All(), after.All())
	}
}

func TestGraphWithImages(t *testing.T) {
	before, err := workflow.NewGraph([]workflow.Step{{Name: "a", Image: "busybox"}, {Name: "b", Image: "alpine", Needs: []string{"a"}}})
	if err != nil {
		t.Fatal(err)
	}
	after := before.WithImages(map[string]string{"b": "alpine@sha256:1", "c": "x"})
	if before.Step("b").Image != "alpine" || after.Step("a").Image != "busybox" || after.Step("b").Image != "alpine@sha256:1" || after.HasStep("c") {
		t.Errorf("before %+v, after %+v", before.All(), after.All())
	}
}
