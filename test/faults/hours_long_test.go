//go:build long

package faults_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Faults at their full length, as runs of hours meet them.

// A provider is suspended for three minutes, as on a laptop that sleeps, and resumes after another apply has taken over its run. It ends, and disturbs nothing.
func TestLongProviderSuspended(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRunIn(t, nil, "suspended", runFault{}.configBody())
	sleeper := heldrun.StartApply(t, s.CLI)
	s.AwaitSlowStep(t)
	provider := sleeper.FindProvider(t)
	sleeper.SuspendProvider(t)
	time.Sleep(3 * time.Minute) // the suspension itself
	other := s.CopyCLI(t)
	successor := heldrun.StartApply(t, other)
	successor.AwaitLog(t, `step "slow" was already started`)
	acctest.NoError(t, syscall.Kill(provider, syscall.SIGCONT))
	s.CheckErrors(t, sleeper, `
Run locked by another apply
Running "$RUN" in namespace "$NAMESPACE": run "$RUN" was taken over by $HOLDER, because this process had not renewed its lease in time.

Wait until that apply has ended, then apply again: completed steps do not run again. If that process was killed, the lock expires within 30 seconds.`)
	s.Server.Release()
	s.CheckErrors(t, successor, "")
	if got := s.CountStarts(t); got != once {
		t.Errorf("the steps ran: %s", got)
	}
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color") // finds the run complete
	if got := s.CountStarts(t); got != once {
		t.Errorf("the next apply ran steps again: %s", got)
	}
	s.CheckNothingLeft(t)
}

// The registered token expires after ten minutes, and a step takes twenty-five. The provider continues with a token that it requests.
func TestLongTokenExpires(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRunIn(t, nil, "token", runFault{}.configBody())
	s.RegisterToken(t, 10*time.Minute)
	a := heldrun.StartApply(t, s.CLI)
	s.AwaitSlowStep(t)
	select {
	case <-time.After(25 * time.Minute): // the step itself
	case <-a.Ended:
		t.Errorf("the apply has ended:\n%s\n%s", a.Out, &a.Log)
	}
	s.Server.Release()
	s.CheckErrors(t, a, "")
	if got := s.CountStarts(t); got != once {
		t.Errorf("the steps ran: %s", got)
	}
	s.CheckNothingLeft(t)
}

// A node dies with its pods, and its Node object stays. The step is started again when its pod is lost, and runs when a node is there.
func TestLongNodeDies(t *testing.T) {
	own := heldrun.NewCluster(t)
	testOutage(t, own, runFault{
		status: "succeeded", ran: "first 1, last 1, slow 2",
		happens: func(t *testing.T, s *heldrun.Run, a *heldrun.Apply) {
			s.AwaitSlowStep(t)
			pod := s.FindPod(t, "slow")
			start := own.StopKubelet(t)
			killPod(t, string(pod.UID))
			// As Kubernetes does after 300 s. It evicts nothing if all nodes are not ready, and this cluster has only one.
			acctest.NoError(t, s.Client.Delete(t.Context(), pod))
			// 40 s until the node is not ready, and the grace period of the pod and 2 minutes.
			testenv.AwaitTrue(t, "the pod to be lost", func() bool {
				return strings.Contains(a.Log.String(), "pod "+pod.Name+" has been terminating for")
			})
			if text := a.Log.String(); !strings.Contains(text, "on node "+pod.Spec.NodeName+", which is not ready") || !strings.Contains(text, "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute") {
				t.Errorf("the log does not name the node and its taint:\n%s", text)
			}
			start()
			s.Server.Release()
		},
	})
}

// killPod kills the processes of a pod. The kubelet must not run, which would start its containers again.
func killPod(t *testing.T, uid string) {
	t.Helper()
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	acctest.NoError(t, err)
	killed := 0
	for _, group := range groups {
		text, err := os.ReadFile(group)
		if err != nil || !bytes.Contains(text, []byte("pod"+uid)) && !bytes.Contains(text, []byte("pod"+strings.ReplaceAll(uid, "-", "_"))) {
			continue // the process has ended, or is not of this pod
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(group)))
		acctest.NoError(t, err)
		if err := syscall.Kill(pid, syscall.SIGKILL); err == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Fatalf("pod %s has no process", uid)
	}
}
