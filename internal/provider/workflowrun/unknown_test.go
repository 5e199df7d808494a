package workflowrun_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// What is known of a graph is checked before all of it is, by the validation and by the plan.
func TestPartsOfAGraph(t *testing.T) {
	p := newPlanning(t)
	schema := p.Schemas.ResourceSchemas["brane_workflow_run"]
	step := func(more acctest.Object) acctest.Object {
		return acctest.MergeObjects(acctest.Object{"image": "tools:1", "command": []any{"x"}}, more)
	}
	needs := func(names ...any) acctest.Object { return step(acctest.Object{"needs": names}) }
	call := acctest.Object{"command": nil, "package": "p:1.0.0", "function": "f", "arguments": acctest.Object{"x": acctest.Object{"result": "d"}}}
	cycle := "Cycle in steps: steps need each other: a → b → a."
	for name, tt := range map[string]struct {
		steps, more acctest.Object
		want        string // empty if the rest can be valid
	}{
		"a cycle, and an unknown variable": {acctest.Object{"a": needs("b"), "b": needs("a"), "d": step(acctest.Object{"env": acctest.Object{"X": acctest.Unknown}})}, nil, cycle},
		"a cycle, and an unknown step":     {acctest.Object{"a": needs("b"), "b": needs("a"), "d": acctest.Unknown}, nil, cycle},
		"a cycle, and unknown needs":       {acctest.Object{"a": needs("b"), "b": needs("a"), "d": needs(acctest.Unknown)}, nil, cycle},
		"a cycle, and an unknown package":  {acctest.Object{"a": needs("b"), "b": needs("a"), "d": acctest.Object{"package": acctest.Unknown}}, nil, cycle},
		"a cycle, and unknown triggers":    {acctest.Object{"a": needs("b"), "b": needs("a")}, acctest.Object{"triggers": acctest.Object{"x": acctest.Unknown}}, cycle},
		"a cycle, and unknown defaults":    {acctest.Object{"a": needs("b"), "b": needs("a")}, acctest.Object{"defaults": acctest.Unknown}, cycle},
		"a cycle, and an unknown patch":    {acctest.Object{"a": needs("b"), "b": needs("a")}, acctest.Object{"pod_patch": acctest.Unknown}, cycle},
		"a cycle of an incomplete step":    {acctest.Object{"a": needs("b"), "b": step(acctest.Object{"needs": []any{"a"}, "env": acctest.Unknown})}, nil, cycle},
		"an unknown need":                  {acctest.Object{"a": needs("nosuch"), "d": acctest.Unknown}, nil, `step "a" needs "nosuch", which is not a step of this run.`},
		"another problem of a known step":  {acctest.Object{"a": step(acctest.Object{"when": "failure"}), "d": acctest.Unknown}, nil, `step "a" has a condition on the steps that it needs, but needs none.`},
		"valid, and an unknown step":       {acctest.Object{"a": needs("d"), "d": acctest.Unknown}, nil, ""},
		"valid, and an unknown package":    {acctest.Object{"a": step(call), "d": acctest.Object{"image": "tools:1", "package": acctest.Unknown, "function": "f"}}, nil, ""},
		"valid, and unknown needs":         {acctest.Object{"a": step(acctest.Object{"needs": acctest.Unknown, "when": "failure"}), "d": step(nil)}, nil, ""},
		"valid, and an unknown image":      {acctest.Object{"a": acctest.Object{"command": []any{"x"}}}, acctest.Object{"defaults": acctest.Object{"image": acctest.Unknown}}, ""},
		"valid, and unknown defaults":      {acctest.Object{"a": acctest.Object{"command": []any{"x"}}}, acctest.Object{"defaults": acctest.Unknown}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			config := acctest.MergeObjects(acctest.Object{"name": "parts", "namespace": "ns", "steps": tt.steps}, tt.more)
			validated, err := p.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{TypeName: "brane_workflow_run", Config: p.EncodeObject(schema, config)})
			acctest.NoError(t, err)
			for when, said := range map[string]string{
				"validation": acctest.FormatDiagnostics(validated.Diagnostics), "plan": acctest.FormatDiagnostics(p.Plan("brane_workflow_run", config, false).Diagnostics),
			} {
				if tt.want == "" && said != "" || strings.Count(said, "\n") > 0 || !strings.Contains(said, tt.want) {
					t.Errorf("%s: %s\nwant %s", when, said, tt.want)
				}
			}
		})
	}
}
