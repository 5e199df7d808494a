package engine

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// account creates a service account in the lab's namespace with permission to run workflows there, and returns its token.
func (l *lab) account(name string) string {
	l.t.Helper()
	kubectl := func(args ...string) string {
		out, err := exec.CommandContext(l.t.Context(), "kubectl", append([]string{"-n", l.namespace, "create"}, args...)...).CombinedOutput()
		if err != nil {
			l.t.Fatalf("kubectl create %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	kubectl("serviceaccount", name)
	kubectl("rolebinding", name, "--clusterrole=admin", "--serviceaccount="+l.namespace+":"+name)
	return kubectl("token", name)
}

// as returns a client with that token, whose requests pass a function.
func as(t *testing.T, token string, passes func(*http.Request, http.RoundTripper) (*http.Response, error)) *kube.Client {
	t.Helper()
	config := rest.AnonymousClientConfig(adminConfig(t))
	config.BearerToken = token
	return throughWith(t, config, passes)
}

// delegateAndDie delegates a run up to this number of changes in the cluster; before the next one the process is killed.
func delegateAndDie(t *testing.T, run *Run, token string, changes int) {
	run.Kube = as(t, token, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if request.Method != http.MethodGet && !strings.HasSuffix(request.URL.Path, "selfsubjectreviews") {
			if changes--; changes < 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // it does not return
			}
		}
		return next.RoundTrip(request)
	})
	t.Error(run.Delegate(t.Context(), nil))
}

// The process that delegates a run is killed in between: the next one delegates it again, one engine executes it, and nothing runs twice.
func TestKilledHalfWayOfTheHandOver(t *testing.T) {
	t.Parallel()
	// The changes are: the record, the Secret of the pods, the orders, the Secret of the engine, its Job, and the end of the lease.
	for _, changes := range []int{1, 3, 4, 5} {
		t.Run(fmt.Sprintf("after %d of 6 changes", changes), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			run := l.run(l.chain(false)...)
			token := l.account("runner")
			child := l.program(childSpec{run.ID, run.Namespace, run.Graph.All(), run.leaseTime, token, changes})
			if err := child.Wait(); err == nil || child.ProcessState.String() != "signal: killed" {
				t.Fatalf("the first process ended with %v", err)
			}
			run.Kube = as(t, token, func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
				return next.RoundTrip(request)
			})
			if err := run.Delegate(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			ctx, done := context.WithTimeout(t.Context(), 2*time.Minute)
			defer done()
			found, err := run.Await(ctx)
			if err != nil || found.Status != workflow.RunSucceeded {
				t.Fatalf("the run stands at %+v, %v", found, err)
			}
			l.ranOnce(run)
			var engines batchv1.JobList
			if err := l.admin.List(t.Context(), &engines, l.namespace, workflow.EngineLabel); err != nil {
				t.Fatal(err)
			}
			if want := 1 + changes/5; len(engines.Items) != want { // the engine of the first process finds that the run belongs to another engine
				t.Errorf("there are %d engines", len(engines.Items))
			}
		})
	}
}
