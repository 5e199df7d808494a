//go:build long

package workflowrun_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// The outputs change while the run executes, and no step writes one of them. The refresh after its end reports it. With a corrected configuration the run resumes
// from its commits, and the apply that finds it complete writes the report.
func TestLongAccWorkflowRun_waitNotOutputs(t *testing.T) {
	t.Parallel()
	s := heldrun.NewDetachedRun(t, "choosy", "/wait")
	s.AwaitSlowStep(t)
	page := s.ControlPlaneFile("choosy.html")
	s.ChangeConfig(t, `outputs  = {`, fmt.Sprintf("report_path = %q\noutputs  = { one = { path = \"first\" }, none = { path = \"none\" }, ", page))
	if out := s.CLI.Run(t, "apply", "-auto-approve", "-no-color"); !strings.Contains(out, "1 changed") {
		t.Errorf("the apply changed something else:\n%s", out)
	}
	s.Server.Release()
	s.AwaitStatus(t, workflow.RunStopped)
	s.CheckPlan(t, `Run "choosy" stopped`, `keep outputs: no such file: "none"`, "will be updated in-place")

	s.ChangeConfig(t, `none = { path = "none" }, `, "")
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	acctest.NoError(t, pageSays(page, []string{"no such file: &#34;none&#34;"}, nil)(nil)) // of how it had ended before
	acctest.NoError(t, os.Remove(page))
	s.AwaitStatus(t, workflow.RunSucceeded)
	s.CheckPlan(t, "report_written_at", "will be updated in-place")
	if _, err := os.Stat(page); err == nil {
		t.Error("the plan has written the report")
	}
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1}) // and then plans nothing more
	acctest.NoError(t, pageSays(page, []string{"3 steps in", "<code>first</code>"}, nil)(nil))
	s.CheckNothingLeft(t)
}

// The engine's Job is deleted and its pod killed, so that it writes nothing more. The refresh reports it, and the next apply continues with the steps that run.
func TestLongAccWorkflowRun_engineLost(t *testing.T) {
	t.Parallel()
	s := heldrun.NewDetachedRun(t, "orphan", "/wait")
	s.AwaitSlowStep(t)
	pod := s.AwaitEngine(t)
	s.CLI.Run(t, "plan", "-detailed-exitcode", "-no-color")
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: pod.Labels[batchv1.JobNameLabel]}}
	acctest.NoError(t, s.Client.Delete(t.Context(), job))
	kill := exec.CommandContext(t.Context(), "kubectl", "-n", s.Namespace, "delete", "pod", pod.Name, "--grace-period=0", "--force", "--ignore-not-found")
	if out, err := kill.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s.CheckPlan(t, `Run "orphan" stopped`, fmt.Sprintf("its engine, Job %q in namespace %q, is gone", job.Name, s.Namespace), "Apply again to resume the run: completed steps do not run again.", "will be updated in-place")
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.Server.Release()
	s.AwaitStatus(t, workflow.RunSucceeded)
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CheckNothingLeft(t)
}

// The engine has a password that Redis refuses. A retry in another pod would fail as well, so the run stops. It resumes with the correct password.
func TestLongAccWorkflowRun_waitNotPassword(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRun(t, "locked-out", "wait = false", "/works")
	s.Server.Works.Store(true)
	const wrong = "not-the-pass-word"
	_, host, _ := strings.Cut(clustertest.Getenv(t, "BRANE_REDIS_POD_URL"), "@")
	redis := fmt.Sprintf("\n  redis = { pod_url = %q }\n", "redis://:"+wrong+"@"+host)
	s.ChangeConfig(t, `provider "brane" {`, `provider "brane" {`+redis)
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.AwaitStatus(t, workflow.RunStopped)
	cmd, out := s.CLI.Command(t.Context(), "plan", "-no-color")
	acctest.NoError(t, cmd.Run())
	heldrun.CheckOutput(t, out, `Run "locked-out" stopped`, "redis refuses the user name or password", "will be updated in-place")
	if strings.Contains(out.String(), wrong) {
		t.Errorf("the plan shows the password:\n%s", out)
	}
	s.ChangeConfig(t, redis, "")
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.AwaitStatus(t, workflow.RunSucceeded)
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CheckNothingLeft(t)
}

// The provider is killed when the engine's Job is created, and before the record names it. The next apply replaces that engine.
func TestLongAccWorkflowRun_engineNotNoted(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRun(t, "unnoted", "wait = false", "/works")
	s.Server.Works.Store(true)
	gate := acctest.NewFaultProxy(t, (*httptest.Server).StartTLS)
	noted := gate.HoldRequest(func(r *http.Request, seen []string) bool {
		return r.Method == http.MethodPut && slices.Contains(seen, "POST /apis/batch/v1/namespaces/"+s.Namespace+"/jobs")
	})
	direct := s.UseProxy(t, gate.Server)
	first := heldrun.StartApply(t, s.CLI)
	testenv.Receive(t, "the engine to be noted", noted)
	first.KillProvider(t)
	s.CheckErrors(t, first, heldrun.Killed)
	record := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "brane-" + s.AwaitID(t)}}
	acctest.NoError(t, s.Client.Get(t.Context(), record))
	if engine := record.Data["engine"]; engine != "" {
		t.Fatalf("the record names engine %s", engine)
	}
	unnoted := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.AwaitEngine(t).Labels[batchv1.JobNameLabel]}}
	direct()
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.AwaitStatus(t, workflow.RunSucceeded)
	acctest.NoError(t, s.Client.Get(t.Context(), record))
	if engine := record.Data["engine"]; !strings.HasSuffix(engine, "-engine-2") {
		t.Errorf("engine %s executes the run, not the second one that acquired its lease", engine)
	}
	if err := s.Client.Get(t.Context(), unnoted); !apierrors.IsNotFound(err) {
		t.Errorf("the engine that is not in the record still exists: %v", err)
	}
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CheckNothingLeft(t)
}
