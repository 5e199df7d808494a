package heldrun

import (
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// AwaitID waits for the record of the run, if the ID is not known, and returns the ID.
func (r *Run) AwaitID(t *testing.T) string {
	t.Helper()
	if r.id != "" {
		return r.id
	}
	testenv.AwaitTrue(t, "the record of the run", func() bool {
		var records corev1.ConfigMapList
		acctest.NoError(t, r.Client.List(t.Context(), &records, r.Namespace, workflow.RunLabel))
		for _, record := range records.Items {
			r.id = record.Labels[workflow.RunLabel]
		}
		return r.id != ""
	})
	return r.id
}

// AwaitSlowStep waits until the slow step is running.
func (r *Run) AwaitSlowStep(t *testing.T) {
	t.Helper()
	r.AwaitID(t) // while the run's record exists
	testenv.Receive(t, "the slow step to start", r.Server.Arrived)
}

// AwaitCommit waits until a step is committed.
func (r *Run) AwaitCommit(t *testing.T, step string) {
	t.Helper()
	store, err := results.OpenFiles(r.Redis, r.AwaitID(t))
	acctest.NoError(t, err)
	testenv.AwaitTrue(t, "the commit of step "+step, func() bool {
		fingerprints, err := store.Fingerprints(t.Context())
		acctest.NoError(t, err)
		if fingerprints[step] == "" {
			return false
		}
		commits, err := store.Commits(t.Context(), map[string]files.Fingerprint{step: fingerprints[step]})
		acctest.NoError(t, err)
		return len(commits) > 0
	})
}

// AwaitEnd waits for the end of a run with wait = false and returns its status.
func (r *Run) AwaitEnd(t *testing.T) workflow.RunStatus {
	t.Helper()
	ctx := testenv.Context(t)
	found, err := detached.Wait(ctx, r.Client, workflow.Ref{ID: r.AwaitID(t), Namespace: r.Namespace}, nil)
	acctest.NoError(t, err)
	return found.Status
}

// AwaitStatus waits for the end of a detached run, which must have this status.
func (r *Run) AwaitStatus(t *testing.T, want workflow.RunStatus) {
	t.Helper()
	if got := r.AwaitEnd(t); got != want {
		t.Fatalf("the run has %s, not %s", got, want)
	}
}

// AwaitEngine waits for a running pod of the engine, other than these, and returns it.
func (r *Run) AwaitEngine(t *testing.T, than ...string) (engine *corev1.Pod) {
	t.Helper()
	testenv.AwaitTrue(t, "a pod of the engine", func() bool {
		var pods corev1.PodList
		acctest.NoError(t, r.Client.List(t.Context(), &pods, r.Namespace, workflow.EngineLabel))
		for i, pod := range pods.Items {
			if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil && !slices.Contains(than, pod.Name) {
				engine = &pods.Items[i]
			}
		}
		return engine != nil
	})
	return engine
}

// FindPod returns the pod of a step, which has exactly one.
func (r *Run) FindPod(t *testing.T, step string) *corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	acctest.NoError(t, r.Client.List(t.Context(), &pods, r.Namespace, workflow.StepLabel+"="+step))
	if len(pods.Items) != 1 {
		t.Fatalf("step %s has %d pods", step, len(pods.Items))
	}
	return &pods.Items[0]
}

// CountStarts returns the number of starts of each step.
func (r *Run) CountStarts(t *testing.T) string {
	t.Helper()
	counts, err := r.Redis.HGetAll(t.Context(), r.Counts).Result()
	acctest.NoError(t, err)
	var all []string
	for _, step := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, fmt.Sprintf("%s %s", step, counts[step]))
	}
	return strings.Join(all, ", ")
}

// ReadStatus returns the status of the run in the state, or "" if it is not in the state.
func (r *Run) ReadStatus(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.CLI.Program, "state", "show", "-no-color", acctest.RunAddress)
	cmd.Dir, cmd.Env = r.CLI.Directory, r.CLI.Env
	out, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return ""
	}
	acctest.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		if name, value, _ := strings.Cut(line, "="); strings.TrimSpace(name) == "status" && strings.HasPrefix(line, "    status") {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}
