package workflowrun_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// textsOf returns a list of so many texts of 1000 bytes.
func textsOf(count int) string {
	return fmt.Sprintf(`[for i in range(%d) : join("", [for j in range(100) : "xxxxxxxxxx"])]`, count)
}

// What an API server would not accept is an error of the plan, on its attribute, and says what to do.
func TestAccWorkflowRun_tooLarge(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	var steps, secrets strings.Builder
	for i := range 4 {
		fmt.Fprintf(&steps, "s%d = { image = \"tools:1\", command = [\"true\"], args = %s }\n", i, textsOf(400))
		fmt.Fprintf(&secrets, "s%d = { A = %[2]q, B = %[2]q, C = %[2]q }\n", i, strings.Repeat("x", 100_000))
	}
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"annotations of the run and a step": {
			"annotations = { b = \"y\" }\nsteps = { a = { image = \"tools:1\", command = [\"true\"], annotations = { a = \"" + strings.Repeat("x", 258_047) + "\" } } }",
			[]string{"Invalid step configuration", `step "a": the Job would have the annotations of the run, of defaults and of the step: its annotations have 258050 bytes of keys and values; an object can have at most 258048`},
		},
		"a configuration for an engine": {
			"wait = false\nsteps = {\n" + steps.String() + "}",
			[]string{"Workflow too large for wait = false", "at most 917504", "Put long texts of command, args, env and items into an input, use several runs, or set wait = true."},
		},
		"a secret environment": {
			"secret_env_wo_version = 1\nsecret_env_wo = {\n" + secrets.String() + "}\nsteps = {\n" + strings.ReplaceAll(steps.String(), "400", "1") + "}",
			[]string{"Invalid step configuration", "secret_env_wo = {", "its values have 1200000 bytes together; it can have at most 1048576", "put large values into Secrets of the namespace and use env_from_secret or volumes"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, "large", tt.body), PlanOnly: true}, tt.want)
		})
	}
}

// What is known only at apply is checked before anything is created.
func TestAccWorkflowRun_tooLargeAtApply(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	config := s.RunConfig(t, "large", `
  wait  = false
  steps = { for i in range(4) : "s${i}" => { image = "$TOOLS", command = ["true"], args = terraform_data.texts.output } }
}

resource "terraform_data" "texts" {
  input = `+textsOf(400))
	s.RegisterInfrastructure(t)
	acctest.ExpectError(t, resource.TestStep{Config: config}, []string{"Workflow too large for wait = false"})
	var records corev1.ConfigMapList
	acctest.NoError(t, s.Client.List(t.Context(), &records, s.Namespace, workflow.RunLabel))
	if len(records.Items) > 0 {
		t.Errorf("something was created: %v", records.Items[0].Name)
	}
}
