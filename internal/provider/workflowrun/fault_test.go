package workflowrun_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// This file contains the test of a row of the table of faults, and the faults.

func (f runFault) runTest(t *testing.T, s *survival) {
	t.Helper()
	first, end := f.startRun(t, s)
	if f.happens != nil {
		f.happens(t, s, first)
	}
	s.checkErrors(t, first, f.says)
	end()
	if got := s.readStatus(t); got != f.status {
		t.Errorf("the status is %q, not %q", got, f.status)
	}
	s.awaitID(t) // while the run's record exists
	if !f.unwanted {
		f.continueRun(t, s)
	}
	if got := s.countStarts(t); got != f.ran {
		t.Errorf("the steps ran: %s\nand not: %s", got, f.ran)
	}
	if most := s.server.most.Load(); most > 1 && !f.crowded {
		t.Errorf("a step ran in %d pods concurrently", most)
	}
	s.checkNothingLeft(t)
}

// startRun starts the first apply, and kills its provider if the row says so. The function that it returns removes what that needs, once the apply has ended.
func (f runFault) startRun(t *testing.T, s *survival) (first *applying, end func()) {
	t.Helper()
	if f.killedBeforeJob == 0 {
		return startApply(t, s.cli), func() {}
	}
	gate := acctest.NewFaultProxy(t, (*httptest.Server).StartTLS)
	held := gate.HoldRequest(createsJob(s.Namespace, f.killedBeforeJob))
	direct := s.useProxy(t, gate.Server)
	first = startApply(t, s.cli)
	awaitClosed(t, "the creation of a Job", held)
	first.killProvider(t)
	return first, direct
}

// createsJob returns a condition for the requests at a gate that the creation of the n-th Job in the namespace meets.
func createsJob(namespace string, n int) func(r *http.Request, seen []string) bool {
	path := "/apis/batch/v1/namespaces/" + namespace + "/jobs"
	return func(r *http.Request, seen []string) bool {
		before := 0
		for _, request := range seen {
			if request == http.MethodPost+" "+path {
				before++
			}
		}
		return r.Method == http.MethodPost && r.URL.Path == path && before == n-1
	}
}

// continueRun applies the configuration again.
func (f runFault) continueRun(t *testing.T, s *survival) {
	t.Helper()
	if f.mends == nil {
		s.server.works.Store(true)
		s.server.letGo()
		s.server.finish()
	} else {
		f.mends(t, s)
	}
	second := startApply(t, s.cli)
	if f.meanwhile != nil {
		f.meanwhile(t, s, second)
	}
	s.checkErrors(t, second, f.saysAgain)
	if f.saysAgain != "" {
		return
	}
	if strings.Contains(f.attributes, "wait = false") {
		s.awaitEnd(t)
		s.checkErrors(t, startApply(t, s.cli), "") // which reads the outcome
	}
	if got := s.readStatus(t); got != "succeeded" {
		t.Errorf("at the end the status is %q", got)
	}
	if got := strings.TrimSpace(s.cli.Run(t, "output", "-raw", "both")); got != "first\nslow" {
		t.Errorf("the output is %q", got)
	}
	s.cli.Run(t, "plan", "-detailed-exitcode", "-no-color") // 2 means that there are changes
}

// awaitLog waits until the provider of the apply logs this.
func (a *applying) awaitLog(t *testing.T, text string) {
	t.Helper()
	awaitCondition(t, "the provider to log "+text, func() bool { return strings.Contains(a.log.String(), text) })
}

// newCLIElsewhere returns a CLI with the same configuration and another state.
func (s *survival) newCLIElsewhere(t *testing.T) *acctest.CLI {
	t.Helper()
	other := acctest.NewCLI(t)
	other.Env = s.cli.Env
	text, err := os.ReadFile(filepath.Join(s.cli.Directory, "main.tf"))
	acctest.NoError(t, err)
	other.WriteFile(t, "main.tf", string(text))
	other.Run(t, "init", "-no-color")
	return other
}

// findPod returns the pod of a step.
func (s *survival) findPod(t *testing.T, step string) *corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	acctest.NoError(t, s.Client.List(t.Context(), &pods, s.Namespace, workflow.StepLabel+"="+step))
	if len(pods.Items) != 1 {
		t.Fatalf("step %s has %d pods", step, len(pods.Items))
	}
	return &pods.Items[0]
}

// deleteSlowPod deletes the pod of the slow step and waits until it does not exist.
func (s *survival) deleteSlowPod(t *testing.T) {
	t.Helper()
	pod := s.findPod(t, "slow")
	acctest.NoError(t, s.Client.Delete(t.Context(), pod))
	awaitCondition(t, "the deletion of the pod", func() bool { return s.CheckGone(pod) == nil })
}

// evictSlowPod evicts the pod of the slow step and waits until it does not exist.
func (s *survival) evictSlowPod(t *testing.T) {
	t.Helper()
	pod := s.findPod(t, "slow")
	s.requestEviction(t, pod)
	awaitCondition(t, "the deletion of the pod", func() bool { return s.CheckGone(pod) == nil })
}

// requestEviction evicts a pod as a drain of its node does.
func (s *survival) requestEviction(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	evict := exec.CommandContext(t.Context(), "kubectl", "create", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", s.Namespace, pod.Name), "-f", "-")
	evict.Env = s.cli.Env
	evict.Stdin = strings.NewReader(fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod.Name, s.Namespace))
	if out, err := evict.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// passTimeout lets the timeout of a running Job pass: its deadline is mutable in Kubernetes, so the moment does not depend on how fast its pod has started.
func (s *survival) passTimeout(t *testing.T, step string, attempt int) {
	t.Helper()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: fmt.Sprintf("brane-%s-%s-%d", s.awaitID(t), step, attempt)}}
	acctest.NoError(t, s.Client.Get(t.Context(), job))
	if limit := job.Spec.ActiveDeadlineSeconds; limit == nil || *limit != 3600 {
		t.Errorf("the Job's deadline is %v seconds", limit)
	}
	acctest.NoError(t, s.Client.MergePatch(t.Context(), job, []byte(`{"spec":{"activeDeadlineSeconds":1}}`)))
}

func (s *survival) deleteJob(t *testing.T, step string) {
	t.Helper()
	var jobs batchv1.JobList
	acctest.NoError(t, s.Client.List(t.Context(), &jobs, s.Namespace, workflow.StepLabel+"="+step))
	for i := range jobs.Items {
		acctest.NoError(t, s.Client.Delete(t.Context(), &jobs.Items[i]))
	}
}

// killEngine sends SIGKILL to the engine in a pod, like the out-of-memory killer. Processes of pods are visible on the machine; the engine's has the pod's UID in its environment.
func killEngine(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	acctest.NoError(t, err)
	for _, file := range environments {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte("BRANE_POD_UID="+string(pod.UID)+"\x00")) {
			continue // another process, or it has ended
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		acctest.NoError(t, err)
		acctest.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
		return
	}
	t.Fatalf("pod %s has no engine", pod.Name)
}

// All steps of a run that has succeeded run again when it is replaced.
func TestAccWorkflowRun_replaced(t *testing.T) {
	t.Parallel()
	s := newSurvival(t, "replaced", "", "/works")
	s.server.works.Store(true)
	s.checkEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.checkEnd(t, map[string]int{"first": 2, "slow": 2, "last": 2}, "-replace="+acctest.RunAddress)
	s.checkNothingLeft(t)
}
