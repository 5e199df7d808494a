package workflowrun_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// What goes wrong with runs that go on inside the cluster.

// What is registered is no service account of the namespace, so no pod can have it: the engine gets one of its own.
func TestAccWorkflowRun_waitNotAccount(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRun(t, "stranger", "wait = false", "/works")
	s.Server.Works.Store(true)
	admin, err := os.ReadFile(clustertest.Getenv(t, "KUBECONFIG"))
	acctest.NoError(t, err)
	store := infra.NewDirectoryStore(s.Directory, infra.V06)
	location := infra.Location{
		Name: s.Namespace, Address: s.Client.Host()[len("https://"):], Namespace: s.Namespace, Registry: clustertest.Getenv(t, "BRANE_REGISTRY"), CallbackTo: "http://198.51.100.10:50052",
	}
	acctest.NoError(t, infra.Register(t.Context(), store, location, admin))
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.AwaitStatus(t, workflow.RunSucceeded)
	s.CLI.Run(t, "destroy", "-auto-approve", "-no-color")
	acctest.NoError(t, awaitNoRunObjects(t, s.Env))
}

// While a run goes on inside the cluster, a refresh tells what holds it up; that alone is no reason to do anything.
func TestAccWorkflowRun_heldUp(t *testing.T) {
	t.Parallel()
	registry := clustertest.Getenv(t, "BRANE_REGISTRY")
	for name, tt := range map[string]struct {
		provider, step string // attributes
		says           []string
		prepare        func(t *testing.T, s acctest.Env)
	}{
		"engine-without-image": {
			fmt.Sprintf("agent_image = %q", registry+"/no-such-agent:1"), `image = "$TOOLS"`,
			[]string{"-engine-1-", "ImagePull", "/no-such-agent:1"}, nil,
		},
		"step-without-image": {
			"", `image = "$REGISTRY/no-such-image:1"`,
			[]string{"-only-2-", "ImagePull", "/no-such-image:1"}, nil,
		},
		"step-without-node": {
			"", `image = "$TOOLS", resources = { limits = { "example.com/fpga" = 1 } }`,
			[]string{"-only-2-", "Unschedulable: 0/", "1 Insufficient example.com/fpga", "request less (of the step or of defaults)"}, nil,
		},
		"engine-on-tainted-nodes": {
			"", `image = "$TOOLS"`,
			[]string{"-engine-1-", "Unschedulable: 0/", "had untolerated taint", "set tolerations", "(of engine or of defaults), or add a node."}, demandToleration,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := heldrun.NewRunIn(t, nil, name, fmt.Sprintf(`
  steps       = { only = { command = ["true"], %s } }
  wait        = false
  startup_timeout = "10m"
`, tt.step))
			s.ChangeConfig(t, `provider "brane" {`, "provider \"brane\" {\n"+tt.provider)
			if tt.prepare != nil {
				tt.prepare(t, s.Env)
			}
			s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
			s.AwaitID(t)
			var out string
			testenv.AwaitTrue(t, "a refresh to report what the run waits for", func() bool {
				out = s.CLI.Run(t, "plan", "-detailed-exitcode", "-no-color") // 2 would mean that there is something to do
				return strings.Contains(out, "is blocked")
			})
			heldrun.CheckOutput(t, bytes.NewBufferString(out), append(tt.says, fmt.Sprintf("Run %q is blocked", name), "The engine in the cluster keeps retrying.")...)
			s.CheckNothingLeft(t)
		})
	}
}

// createQuota limits the namespace to one pod.
func createQuota(t *testing.T, s acctest.Env) {
	t.Helper()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "one"}}
	quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: apiresource.MustParse("1")}
	acctest.NoError(t, s.Client.Create(t.Context(), quota))
	testenv.AwaitTrue(t, "the quota to be counted", func() bool {
		acctest.NoError(t, s.Client.Get(t.Context(), quota))
		return len(quota.Status.Hard) > 0
	})
}
