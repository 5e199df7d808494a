package faults_test

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
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// This file contains the test of a row of the table of faults, and the faults.

func (f runFault) runTest(t *testing.T, s *heldrun.Run) {
	t.Helper()
	first, end := f.startRun(t, s)
	if f.happens != nil {
		f.happens(t, s, first)
	}
	s.CheckErrors(t, first, f.says)
	end()
	if got := s.ReadStatus(t); got != f.status {
		t.Errorf("the status is %q, not %q", got, f.status)
	}
	s.AwaitID(t) // while the run's record exists
	if !f.unwanted {
		f.continueRun(t, s)
	}
	if got := s.CountStarts(t); got != f.ran {
		t.Errorf("the steps ran: %s\nand not: %s", got, f.ran)
	}
	if most := s.Server.Most.Load(); most > 1 && !f.crowded {
		t.Errorf("a step ran in %d pods concurrently", most)
	}
	s.CheckNothingLeft(t)
}

// startRun starts the first apply, and kills its provider if the row says so. The function that it returns removes what that needs, once the apply has ended.
func (f runFault) startRun(t *testing.T, s *heldrun.Run) (first *heldrun.Apply, end func()) {
	t.Helper()
	if f.killedBeforeJob == 0 {
		return heldrun.StartApply(t, s.CLI), func() {}
	}
	gate := acctest.NewFaultProxy(t, (*httptest.Server).StartTLS)
	held := gate.HoldRequest(createsJob(s.Namespace, f.killedBeforeJob))
	direct := s.UseProxy(t, gate.Server)
	first = heldrun.StartApply(t, s.CLI)
	testenv.Receive(t, "the creation of a Job", held)
	first.KillProvider(t)
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
func (f runFault) continueRun(t *testing.T, s *heldrun.Run) {
	t.Helper()
	if f.mends == nil {
		s.Server.Works.Store(true)
		s.Server.Release()
		s.Server.Finish()
	} else {
		f.mends(t, s)
	}
	second := heldrun.StartApply(t, s.CLI)
	if f.meanwhile != nil {
		f.meanwhile(t, s, second)
	}
	s.CheckErrors(t, second, f.saysAgain)
	if f.saysAgain != "" {
		return
	}
	if strings.Contains(f.attributes, "wait = false") {
		s.AwaitEnd(t)
		s.CheckErrors(t, heldrun.StartApply(t, s.CLI), "") // which reads the outcome
	}
	if got := s.ReadStatus(t); got != "succeeded" {
		t.Errorf("at the end the status is %q", got)
	}
	if got := strings.TrimSpace(s.CLI.Run(t, "output", "-raw", "both")); got != "first\nslow" {
		t.Errorf("the output is %q", got)
	}
	s.CLI.Run(t, "plan", "-detailed-exitcode", "-no-color") // 2 means that there are changes
}

// deleteSlowPod deletes the pod of the slow step and waits until it does not exist.
func deleteSlowPod(t *testing.T, s *heldrun.Run) {
	t.Helper()
	pod := s.FindPod(t, "slow")
	acctest.NoError(t, s.Client.Delete(t.Context(), pod))
	testenv.AwaitTrue(t, "the deletion of the pod", func() bool { return s.CheckGone(pod) == nil })
}

// preemptSlowJob suspends the Job of the slow step, and admits it again on nodes that it selects, as Kueue does with a Job that it preempts.
func preemptSlowJob(t *testing.T, s *heldrun.Run) {
	t.Helper()
	pod := s.FindPod(t, "slow")
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: pod.Labels[batchv1.JobNameLabel]}}
	acctest.NoError(t, s.Client.MergePatch(t.Context(), job, []byte(`{"spec":{"suspend":true}}`)))
	testenv.AwaitTrue(t, "the deletion of the pod", func() bool { return s.CheckGone(pod) == nil })
	// The pod template of a Job that has started is immutable.
	reset := exec.CommandContext(t.Context(), "kubectl", "-n", s.Namespace, "patch", "job", job.Name,
		"--subresource=status", "--type=merge", "-p", `{"status":{"startTime":null}}`)
	reset.Env = s.CLI.Env
	if out, err := reset.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	acctest.NoError(t, s.Client.MergePatch(t.Context(), job, []byte(`{"spec":{"suspend":false,"template":{"spec":{"nodeSelector":{"kubernetes.io/os":"linux"}}}}}`)))
}

// evictSlowPod evicts the pod of the slow step and waits until it does not exist.
func evictSlowPod(t *testing.T, s *heldrun.Run) {
	t.Helper()
	pod := s.FindPod(t, "slow")
	requestEviction(t, s, pod)
	testenv.AwaitTrue(t, "the deletion of the pod", func() bool { return s.CheckGone(pod) == nil })
}

// requestEviction evicts a pod as a drain of its node does.
func requestEviction(t *testing.T, s *heldrun.Run, pod *corev1.Pod) {
	t.Helper()
	evict := exec.CommandContext(t.Context(), "kubectl", "create", "--raw", fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", s.Namespace, pod.Name), "-f", "-")
	evict.Env = s.CLI.Env
	evict.Stdin = strings.NewReader(fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":%q,"namespace":%q}}`, pod.Name, s.Namespace))
	if out, err := evict.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// passTimeout lets the timeout of a running Job pass: its deadline is mutable in Kubernetes, so the moment does not depend on how fast its pod has started.
func passTimeout(t *testing.T, s *heldrun.Run, step string, attempt int) {
	t.Helper()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: fmt.Sprintf("brane-%s-%s-%d", s.AwaitID(t), step, attempt)}}
	acctest.NoError(t, s.Client.Get(t.Context(), job))
	if limit := job.Spec.ActiveDeadlineSeconds; limit == nil || *limit != 3600 {
		t.Errorf("the Job's deadline is %v seconds", limit)
	}
	acctest.NoError(t, s.Client.MergePatch(t.Context(), job, []byte(`{"spec":{"activeDeadlineSeconds":1}}`)))
}

func deleteJob(t *testing.T, s *heldrun.Run, step string) {
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
