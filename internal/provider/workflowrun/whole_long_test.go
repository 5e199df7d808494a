//go:build long

package workflowrun_test

import (
	"context"
	"fmt"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// TestLongAccWorkflowRun_clusterCleanedUp deletes the namespace of a run that has succeeded. The next apply creates it again, with a new credential, and runs no
// step: the files of the run are in Redis. A destroy works without the namespace.
func TestLongAccWorkflowRun_clusterCleanedUp(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	config := wholeConfig(t, s, "  resource_quota = { pods = \"10\" }\n  registry_credentials = { \"registry.example.org\" = { username = \"puller\", password_wo = \"documentation\", password_wo_version = 1 } }", `
resource "brane_workflow_run" "test" {
  name           = "deleted"
  infrastructure = brane_infrastructure.team.name
  steps          = { hello = { image = "$TOOLS", command = ["sh", "-c", "cat /proc/sys/kernel/random/uuid > /data/hello"] } }
  outputs        = { hello = { path = "hello" } }
}`)
	action := plancheck.ExpectResourceAction
	var id string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, id) },
		Steps: []resource.TestStep{
			{Config: config, Check: func(state *terraform.State) (err error) {
				id, err = acctest.RunID(state)
				return err
			}},
			{
				PreConfig: func() { deleteNamespace(t, s) }, Config: config,
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					action("brane_namespace.team", plancheck.ResourceActionCreate), action("brane_infrastructure.team", plancheck.ResourceActionUpdate),
					action(acctest.RunAddress, plancheck.ResourceActionNoop),
				}},
			},
			{
				Config: config, ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
				Check:              func(*terraform.State) error { deleteNamespace(t, s); return nil }, // before the destroy
				ExpectNonEmptyPlan: true,
			},
		},
	})
}

// TestLongAccWorkflowRun_finishedJobsFillQuota runs a second workflow in a namespace whose quota of Jobs is used up by the finished Jobs of the first. The error says so and
// what to do, not that a permission is missing. When a Job is deleted, the run continues.
func TestLongAccWorkflowRun_finishedJobsFillQuota(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	config := func(more string) string {
		return wholeConfig(t, s, `  resource_quota = { "count/jobs.batch" = "3" }`, `
resource "brane_workflow_run" "test" {
  name           = "first"
  infrastructure = brane_infrastructure.team.name
  defaults       = { image = "$TOOLS" }
  steps = {
    one   = { command = ["sh", "-c", "echo one > /data/one"] }
    two   = { command = ["sh", "-c", "echo two > /data/two"], needs = ["one"] }
    three = { command = ["sh", "-c", "cat /data/one /data/two > /data/three"], needs = ["two"] }
  }
  outputs = { three = { path = "three" } }
}`+more)
	}
	second := config(`
resource "brane_workflow_run" "second" {
  name               = "second"
  infrastructure     = brane_infrastructure.team.name
  scheduling_timeout = "10s"
  steps              = { only = { image = "$TOOLS", command = ["sh", "-c", "echo only > /data/only"] } }
}`)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config("")},
			{Config: second, ExpectError: regexp.MustCompile(`ResourceQuota\s+"brane"\s+of\s+the\s+namespace\s+allows\s+3\s+count/jobs\.batch[\s\S]*Finished\s+Jobs\s+count`)},
			{PreConfig: func() { deleteJobs(t, s, "one") }, Config: second, ConfigStateChecks: []statecheck.StateCheck{
				statecheck.ExpectKnownValue("brane_workflow_run.second", tfjsonpath.New("status"), knownvalue.StringExact("succeeded")),
			}},
			{Config: second, PlanOnly: true}, // a Job of the first run is gone
		},
	})
}

// wholeConfig is a namespace with these attributes, its infrastructure, and runs on it.
func wholeConfig(t *testing.T, s acctest.Env, namespace, runs string) string {
	t.Helper()
	return s.Config(t, fmt.Sprintf(`
resource "brane_namespace" "team" {
  name = "$NAMESPACE"
%s
}

resource "brane_infrastructure" "team" {
  name        = "$NAMESPACE"
  namespace   = brane_namespace.team.name
  registry    = "$REGISTRY"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.team.service_account.name }
}
%s`, namespace, runs))
}

// deleteNamespace deletes the namespace of a test and waits until it is gone.
func deleteNamespace(t *testing.T, s acctest.Env) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
	acctest.NoError(t, s.Client.Delete(context.Background(), namespace))
	testenv.Await(t, "the end of the namespace", func(ctx context.Context) (bool, error) {
		return apierrors.IsNotFound(s.Client.Get(ctx, namespace)), nil
	})
}

// deleteJobs deletes the Jobs of a step.
func deleteJobs(t *testing.T, s acctest.Env, step string) {
	t.Helper()
	var jobs batchv1.JobList
	acctest.NoError(t, s.Client.List(context.Background(), &jobs, s.Namespace, "brane/step="+step))
	for i := range jobs.Items {
		acctest.NoError(t, s.Client.Delete(context.Background(), &jobs.Items[i]))
	}
}
