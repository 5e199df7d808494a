package workflowrun_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// What contradicts submit_with is an error of the plan, and so is a cluster that nobody has declared.
func TestAccWorkflowRun_submittedWrongly(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	const steps = `steps = { a = { image = "tools:1", command = ["true"] } }`
	for name, tt := range map[string]struct {
		body string
		want []string
	}{
		"by nobody":                      {"submit_with = \"me\"", []string{`must be one of registered, provider`}},
		"to a cluster of its own":        {"cluster = \"oslo\"", []string{`Conflicting cluster`, `Remove cluster, or set submit_with = "provider".`}},
		"to a cluster that is not known": {"submit_with = \"provider\"\ncluster = \"oslo\"", []string{`Unknown cluster`, `there is no cluster "oslo" in clusters of the provider block: it has no clusters.`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, "bad", steps+"\n"+tt.body), PlanOnly: true}, tt.want)
		})
	}
}
