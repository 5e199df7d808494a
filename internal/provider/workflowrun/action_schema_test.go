package workflowrun_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// What is wrong with an action's configuration is told before it is invoked, on the attribute, as of the resource.
func TestRunWorkflowValidates(t *testing.T) {
	step := func(image string, needs ...any) acctest.Object {
		return acctest.Object{"image": image, "command": []any{"true"}, "needs": needs}
	}
	for name, tt := range map[string]struct {
		config acctest.Object
		want   string
	}{
		"all is well":         {acctest.Object{"name": "r", "infrastructure": "i", "steps": acctest.Object{"a": step("x")}}, ""},
		"not known yet":       {acctest.Object{"name": "r", "infrastructure": "i", "steps": acctest.Unknown}, ""},
		"a circle":            {acctest.Object{"name": "r", "infrastructure": "i", "steps": acctest.Object{"a": step("x", "b"), "b": step("x", "a")}}, `Cycle in steps: steps need each other: a → b → a.`},
		"no name":             {acctest.Object{"name": "R", "infrastructure": "i", "steps": acctest.Object{"a": step("x")}}, `AttributeName("name")`},
		"an input of nobody":  {acctest.Object{"name": "r", "infrastructure": "i", "steps": acctest.Object{"a": step("x")}, "inputs": acctest.Object{"in": acctest.Object{}}}, `AttributeName("inputs").ElementKeyString("in")`},
		"a cluster of nobody": {acctest.Object{"name": "r", "infrastructure": "i", "steps": acctest.Object{"a": step("x")}, "cluster": "oslo"}, `Remove cluster, or set submit_with = "provider".`},
		"too short a stay":    {acctest.Object{"name": "r", "infrastructure": "i", "steps": acctest.Object{"a": step("x")}, "retention": "1m"}, `AttributeName("retention")`},
	} {
		t.Run(name, func(t *testing.T) {
			s := acctest.NewProtocol(t)
			validator, ok := s.ProviderServer.(tfprotov6.ActionServer)
			if !ok {
				t.Fatal("the provider has no actions")
			}
			resp, err := validator.ValidateActionConfig(t.Context(), &tfprotov6.ValidateActionConfigRequest{
				ActionType: "brane_run_workflow", Config: s.EncodeObject(s.Schemas.ActionSchemas["brane_run_workflow"].Schema, tt.config),
			})
			acctest.NoError(t, err)
			got := acctest.FormatDiagnostics(resp.Diagnostics)
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("it says %q, want %q", got, tt.want)
			}
		})
	}
}

// The action has what the resource has, but for what only a state can hold. It has reuse instead.
func TestRunWorkflowTakesWhatTheResourceTakes(t *testing.T) {
	s := acctest.NewProtocol(t)
	attributes := func(schema *tfprotov6.Schema) map[string]*tfprotov6.SchemaAttribute {
		found := map[string]*tfprotov6.SchemaAttribute{}
		for _, attribute := range schema.Block.Attributes {
			found[attribute.Name] = attribute
		}
		return found
	}
	action, resource := attributes(s.Schemas.ActionSchemas["brane_run_workflow"].Schema), attributes(s.Schemas.ResourceSchemas["brane_workflow_run"])
	for name, attribute := range resource {
		_, has := action[name]
		if wants := (attribute.Required || attribute.Optional) && name != "triggers" && name != "on_interrupt" && name != "wait" && name != "engine" && name != "secret_env_wo_version"; has != wants {
			t.Errorf("attribute %q: the action has it: %t, want %t", name, has, wants)
		}
	}
	for name, attribute := range action {
		if regexp.MustCompile(`(?i)\bengine\b|\bwait = `).MatchString(attribute.Description) {
			t.Errorf("attribute %q: the action has no engine: %s", name, attribute.Description)
		}
		if resource[name] == nil && name != "reuse" {
			t.Errorf("attribute %q is none of the resource", name)
		}
	}
}
