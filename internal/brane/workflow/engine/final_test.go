package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// newFakeClient returns a client of an API server that answers with what answer returns.
func newFakeClient(t *testing.T, answer func(http.ResponseWriter, *http.Request) any) *kube.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer(w, r))
	}))
	t.Cleanup(server.Close)
	client, err := kube.New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// answerEmpty answers like an API server that has no objects and accepts every object.
func answerEmpty(_ http.ResponseWriter, r *http.Request) any {
	if r.Method == http.MethodPost {
		return metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}
	}
	return map[string]any{"kind": "List", "apiVersion": "v1", "metadata": metav1.ListMeta{}, "items": []any{}}
}

// newTestLoop returns a loop of a run without a cluster and without Redis.
func newTestLoop(t *testing.T, steps ...workflow.Step) *loop {
	t.Helper()
	graph := workflowtest.GraphOf(t, steps...)
	store, err := results.Open(redis.NewClient(&redis.Options{}), "run", graph)
	if err != nil {
		t.Fatal(err)
	}
	return newLoop(&Execution{spec: &workflow.Spec{ID: "run", Graph: graph, Namespace: "brane"}, results: store, lease: &record.Lease{}})
}

// openLoop returns the loop of a run whose steps are all running, in an empty cluster, and the events that it reports.
func openLoop(t *testing.T, steps ...workflow.Step) (l *loop, client *redis.Client, events *[]string) {
	t.Helper()
	client = redistest.Start(t).Client()
	graph := workflowtest.GraphOf(t, steps...)
	store, err := results.Open(client, "run", graph)
	if err != nil {
		t.Fatal(err)
	}
	events = &[]string{}
	spec, kubernetes := &workflow.Spec{ID: "run", Graph: graph, Namespace: "brane"}, newFakeClient(t, answerEmpty)
	lease, err := record.Acquire(t.Context(), kubernetes, spec.Ref(), record.Holder{Retention: time.Hour}, nil)
	if err == nil {
		err = storeInputs(t.Context(), store.Files(), spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	l = newLoop(&Execution{
		spec: spec, results: store, lease: lease, clients: Clients{Kube: kubernetes}, firstTerm: lease.Transitions(),
		options: Options{Observe: func(event workflow.Event) { *events = append(*events, event.String()) }},
	})
	for _, step := range steps {
		l.state.recordJob(step.Name, 1)
		l.firstAttempts[step.Name] = 1
	}
	if _, err := l.resolveSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l, client, events
}

// commitFile commits a step that starts with this, or an index of one, that has written one file.
func commitFile(t *testing.T, store *files.Store, start stepStart, step, name, content string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	stored, err := store.Snapshot(t.Context(), folder, nil, nil, step)
	if err != nil {
		t.Fatal(err)
	}
	record := files.Record{Attempt: 1, Layer: stored.Layer, Content: stored.Content, Base: start.Layer, Started: time.Now().UTC(), Ended: time.Now().UTC()}
	if _, _, err := store.Commit(t.Context(), start.keyOf(step), record); err != nil {
		t.Fatal(err)
	}
}

// counting counts the values that are stored under keys with this text.
type counting struct {
	text string
	n    atomic.Int32
}

func (c *counting) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "set" && strings.Contains(fmt.Sprint(cmd.Args()[1]), c.text) {
			c.n.Add(1)
		}
		return next(ctx, cmd)
	}
}

// A conflict between the indexes of a step is reported, stored and counted once in each execution, however long it continues.
func TestConflictIsReportedOnce(t *testing.T) {
	t.Parallel()
	l, client, events := openLoop(t, workflow.Step{Name: "fan", Completions: 2, AllowFailure: true}, workflow.Step{Name: "slow"})
	stored := &counting{text: ":failed:"}
	client.AddHook(stored)
	commitFile(t, l.results.Files(), l.starts["fan"], "fan.0", "same", "0")
	commitFile(t, l.results.Files(), l.starts["fan"], "fan.1", "same", "1")
	for range 3 {
		l.hints.expectAll()
		if err := l.reconcileCommits(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if l.state.decide().hasEnded {
		t.Fatal("the other step still runs")
	}
	isReportedOnce := func() {
		t.Helper()
		result, times := l.buildResult(t.Context()), stored.n.Swap(0)
		if len(l.failures) != 1 || len(result.Allowed) != 1 || result.Steps["fan"].Status != workflow.Failed || fmt.Sprint(*events) != "[step failed fan: FilesConflict]" || times != 1 {
			t.Errorf("%d failures, %d of them in the result, stored %d times; events %q", len(l.failures), len(result.Allowed), times, *events)
		}
	}
	isReportedOnce()

	l, *events = newLoop(l.Execution), nil
	for range 3 {
		l.hints.expectAll()
		if err := l.settleSteps(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	isReportedOnce()
}

// An allowed failure that is stored is found by the next execution, which stores it again, so that it is kept as long. It is not that of a step with
// another configuration.
func TestAllowedFailureIsRestored(t *testing.T) {
	t.Parallel()
	l, client, events := openLoop(t, workflow.Step{Name: "risky", AllowFailure: true}, workflow.Step{Name: "other"})
	l.state.markUnconfirmed("risky", 1, vanished)
	if err := l.settleSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored := &counting{text: ":failed:risky:"}
	client.AddHook(stored)
	*events = nil
	next := newLoop(l.Execution)
	for range 2 {
		next.hints.expectAll()
		if err := next.settleSteps(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	result := next.buildResult(t.Context())
	if fmt.Sprint(*events) != "[step failed risky: JobDeleted, before]" || stored.n.Load() != 1 || len(result.Allowed) != 1 || next.state.phaseOf("risky") != failed {
		t.Errorf("events %q, stored %d times, result %+v", *events, stored.n.Load(), result)
	}
	*events = nil
	changed := *l.spec
	changed.Graph = l.spec.Graph.WithConfigurations(map[string]string{"risky": workflow.Step{Image: "another"}.DigestConfiguration(workflow.Triggers{})})
	l.spec = &changed
	other := newLoop(l.Execution)
	if err := other.settleSteps(t.Context()); err != nil || len(*events) > 0 || other.state.phaseOf("risky") != pending {
		t.Errorf("with another configuration the step is in phase %d, %v; events %q", other.state.phaseOf("risky"), err, *events)
	}
}

// Needs whose files conflict are a failure of the step, found before it has a pod. Those who read the results of the run find it as well.
func TestConflictOfNeeds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		step  workflow.Step
		early bool // its Job was created before the needs ended
	}{
		"a step":                          {workflow.Step{}, false},
		"a step whose failure is allowed": {workflow.Step{AllowFailure: true}, false},
		"a fan-out step":                  {workflow.Step{Completions: 2}, false},
		"a step that waits for its needs": {workflow.Step{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.step.Name, tt.step.Needs = "torn", []string{"one", "rival"}
			l, _, events := openLoop(t, workflow.Step{Name: "one"}, workflow.Step{Name: "rival"}, tt.step)
			commitFile(t, l.results.Files(), l.starts["one"], "one", "file", "x")
			commitFile(t, l.results.Files(), l.starts["rival"], "rival", "file", "y")
			if !tt.early {
				l = newLoop(l.Execution)
			}
			if err := l.runSteps(t.Context()); err != nil {
				t.Fatal(err)
			}
			failures := l.buildResult(t.Context()).Failures
			if tt.step.AllowFailure {
				failures = l.buildResult(t.Context()).Allowed
			}
			if len(failures) != 1 || failures[0].Step != "torn" || failures[0].Reason != workflow.ReasonFilesConflict || failures[0].Pod != "" {
				t.Errorf("the failures are %+v", failures)
			}
			if last := (*events)[len(*events)-1]; last != "step failed torn: FilesConflict" {
				t.Errorf("the events are %q", *events)
			}
			for _, event := range *events {
				if strings.Contains(event, string(workflow.StepStarted)) {
					t.Errorf("a Job was created: %s", event)
				}
			}
			if !tt.step.AllowFailure {
				return
			}
			loaded, err := l.results.Load(t.Context())
			if err != nil || len(loaded.Allowed) != 1 || loaded.Allowed[0].Detail() != failures[0].Detail() || loaded.Steps["torn"].Status != workflow.Failed {
				t.Errorf("read from Redis it is %+v, %v", loaded, err)
			}
		})
	}
}

// A step that has failed and then commits, because its pod was only unreachable, has failed in this execution: for the steps after it, in
// the list of failures and in the result. The next execution finds the commit.
func TestCommitAfterFailure(t *testing.T) {
	t.Parallel()
	for name, isAllowed := range map[string]bool{"allowed": true, "not allowed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _, events := openLoop(t, workflow.Step{Name: "lost", AllowFailure: isAllowed}, workflow.Step{Name: "slow"})
			l.state.markUnconfirmed("lost", 1, vanished)
			if err := l.reconcileCommits(t.Context()); err != nil {
				t.Fatal(err)
			}
			commitFile(t, l.results.Files(), l.starts["lost"], "lost", "file", "content")
			l.hints.expectAll()
			if err := l.reconcileCommits(t.Context()); err != nil {
				t.Fatal(err)
			}
			result := l.buildResult(t.Context())
			hasFailed := l.state.decide().hasFailed
			if want := "[step failed lost: JobDeleted]"; fmt.Sprint(*events) != want {
				t.Errorf("events %q, want %s", *events, want)
			}
			if len(l.failures) != 1 || result.Steps["lost"].Status != workflow.Failed || len(result.Failures)+len(result.Allowed) != 1 {
				t.Errorf("failures %v, result %+v", l.failures, result)
			}
			if hasFailed == isAllowed || !l.state.decide().hasNoFiles("lost") {
				t.Errorf("the run has failed: %t; the step has files: %t", hasFailed, !l.state.decide().hasNoFiles("lost"))
			}

			next := newLoop(l.Execution)
			if err := next.settleSteps(t.Context()); err != nil {
				t.Fatal(err)
			}
			if status := next.buildResult(t.Context()).Steps["lost"].Status; status != workflow.Succeeded {
				t.Errorf("in the next execution it is %s", status)
			}
		})
	}
}
