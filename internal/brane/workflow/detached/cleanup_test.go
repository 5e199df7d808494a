package detached_test

import (
	"context"
	"net/http"
	"os/exec"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// The pod of an engine is replaced while a step cleans up after a failure: the next pod knows the failure, so that the cleanup continues, and the failed
// step does not run again.
func TestEngineReplacedDuringCleanup(t *testing.T) {
	t.Parallel()
	for name, arguments := range map[string][]string{"evicted": {"--wait=false"}, "killed": {"--force", "--grace-period=0"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := runtest.New(t)
			work, clean := l.Step("work", "exit 3"), l.Step("clean", l.Wait(), "work")
			clean.When = workflow.Always
			run := l.NewRun(work, clean)
			run.Clients.Kube = runtest.NewClientAs(t, l.CreateAccount("runner"), func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
				return next.RoundTrip(request)
			})
			if err := detached.Start(t.Context(), run.Spec, run.Clients, run.Options, nil); err != nil {
				t.Fatal(err)
			}
			testenv.Receive(t, "the cleanup", l.Counter.Arrived)
			var pods corev1.PodList
			if err := l.Admin.List(t.Context(), &pods, l.Namespace, workflow.EngineLabel); err != nil || len(pods.Items) != 1 {
				t.Fatalf("there are %d pods of engines, %v", len(pods.Items), err)
			}
			record := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: run.Spec.Ref().ObjectName()}}
			if err := l.Admin.Get(t.Context(), record); err != nil {
				t.Fatal(err)
			}
			before := record.Data["leaseTransitions"]
			arguments := append([]string{"-n", l.Namespace, "delete", "pod", pods.Items[0].Name}, arguments...)
			if out, err := exec.CommandContext(t.Context(), "kubectl", arguments...).CombinedOutput(); err != nil {
				t.Fatalf("kubectl %q: %v\n%s", arguments, err, out)
			}
			testenv.Await(t, "the next engine", func(ctx context.Context) (bool, error) {
				err := l.Admin.Get(ctx, record)
				return record.Data["leaseTransitions"] != before, err
			})
			l.Counter.Release()
			found, err := detached.Wait(testenv.Context(t), run.Clients.Kube, run.Spec.Ref(), nil)
			if err != nil || found.Status != workflow.RunFailed || len(found.Failures) != 1 || found.Failures[0].Code != 3 {
				t.Errorf("the run stands at %+v, %v", found, err)
			}
			l.CheckRanOnce(run)
		})
	}
}
