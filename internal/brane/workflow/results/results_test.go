package results

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// openResults returns the results of a run of these steps, in a new Redis.
func openResults(t *testing.T, graph workflow.Graph) (*Store, *redis.Client) {
	t.Helper()
	client := redistest.Start(t).Client()
	store, err := Open(client, "run", graph)
	if err != nil {
		t.Fatal(err)
	}
	if store, err = store.ForExecution(time.Now().Add(time.Hour), false, nil); err != nil {
		t.Fatal(err)
	}
	return store, client
}

// commitFiles commits a step that has written these files.
func commitFiles(t *testing.T, store *Store, step string, contents map[string]string) {
	t.Helper()
	directory := t.TempDir()
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	layer, err := store.Files().Snapshot(t.Context(), directory, nil, nil, step)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Files().Commit(t.Context(), step, files.Record{Attempt: 1, Layer: layer, Started: time.Now(), Ended: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// reads counts how often each key is read.
type reads struct {
	mu   sync.Mutex
	keys map[string]int
}

func (r *reads) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *reads) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.count(cmd)
		return next(ctx, cmd)
	}
}

func (r *reads) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			r.count(cmd)
		}
		return next(ctx, cmds)
	}
}

func (r *reads) count(cmd redis.Cmder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name := cmd.Name(); strings.HasPrefix(name, "get") || strings.HasPrefix(name, "mget") {
		r.keys[fmt.Sprint(cmd.Args()[1])]++
	}
}

// TakeOutputs keeps the outputs, and returns the content of those that are small enough. It reads nothing twice.
func TestTakeOutputsReadsOnce(t *testing.T) {
	t.Parallel()
	store, client := openResults(t, workflowtest.Graph(t, "one"))
	commitFiles(t, store, "one", map[string]string{"words": "hello", "empty": "", "large": strings.Repeat("x", 2000), "rest": "not an output"})
	result, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counter := &reads{keys: map[string]int{}}
	client.AddHook(counter)
	layer, outputs, err := store.TakeOutputs(t.Context(), result, []string{"words", "empty", "large"}, 1000)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range counter.keys {
		total += n
	}
	if total != 4 { // two for the list of files, and one for each file that is not empty
		t.Errorf("%d reads: %v", total, counter.keys)
	}
	check := func(outputs Outputs) {
		t.Helper()
		if len(outputs) != 3 || string(outputs["words"].Content) != "hello" || outputs["empty"].Content == nil || outputs["large"].Content != nil || outputs["large"].Size != 2000 {
			t.Errorf("the outputs are %+v", outputs)
		}
	}
	check(outputs)
	for _, key := range client.Keys(t.Context(), "*").Val() {
		if client.TTL(t.Context(), key).Val() > 0 {
			client.Del(t.Context(), key) // as when the retention has passed
		}
	}
	if outputs, err = store.ReadOutputs(t.Context(), layer, []string{"words", "empty", "large"}, 1000); err != nil {
		t.Fatal(err)
	}
	check(outputs)
	var missing *files.MissingError
	if _, err := store.ReadOutputs(t.Context(), layer, []string{"rest"}, 1000); !errors.As(err, &missing) || !slices.Equal(missing.Paths, []string{"rest"}) {
		t.Errorf("what is not kept: %v", err)
	}
}

// An output that does not exist is an error, unless a fan-out step that may write it has no indexes.
func TestOutputsOfEmptySteps(t *testing.T) {
	t.Parallel()
	graph := workflowtest.GraphOf(t, workflow.Step{Name: "one"}, workflow.Step{Name: "none", IsEmpty: true, Writes: []string{"none/**"}, Needs: []string{"one"}})
	store, _ := openResults(t, graph)
	commitFiles(t, store, "one", map[string]string{"words": "hello"})
	commitFiles(t, store, "none", map[string]string{"words": "hello"})
	result, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		paths            []string
		written, missing string
	}{
		"of the empty step":        {[]string{"none/a"}, "[]", "[]"},
		"of both":                  {[]string{"none/a", "words"}, "[words]", "[]"},
		"that no step could write": {[]string{"none/a", "other"}, "[]", "[other]"},
	} {
		layer, outputs, err := store.TakeOutputs(t.Context(), result, tt.paths, 1000)
		peeked, _ := store.PeekOutputs(t.Context(), result, tt.paths, 1000)
		var missing files.MissingError
		if as := (*files.MissingError)(nil); errors.As(err, &as) {
			missing = *as
		} else if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(slices.Sorted(maps.Keys(outputs))); got != tt.written || fmt.Sprint(missing.Paths) != tt.missing || len(peeked) != len(outputs) {
			t.Errorf("%s: %s are written, %q are missing, %d were peeked", name, got, missing.Paths, len(peeked))
		}
		if (layer == "") != (tt.written == "[]") {
			t.Errorf("%s: the layer is %q", name, layer)
		}
	}
}

// A commit wins over a stored allowed failure; a step without either has lost its commit, unless it may be skipped.
func TestLoad(t *testing.T) {
	t.Parallel()
	graph := workflowtest.GraphOf(t,
		workflow.Step{Name: "risky", AllowFailure: true}, workflow.Step{Name: "late", AllowFailure: true},
		workflow.Step{Name: "rescue", When: workflow.OnFailure, Needs: []string{"risky"}}, workflow.Step{Name: "last"},
	)
	store, _ := openResults(t, graph)
	for _, step := range []string{"risky", "late"} {
		if err := store.StoreAllowedFailure(t.Context(), &workflow.Failure{Step: step, End: workflow.End{Code: 3}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.StoreAllowedFailure(t.Context(), &workflow.Failure{Step: "last"}); err != nil {
		t.Fatal(err)
	}
	commitFiles(t, store, "late", nil)
	if _, err := store.Load(t.Context()); !errors.Is(err, files.ErrGone) {
		t.Errorf("without the last commit: %v", err)
	}
	commitFiles(t, store, "last", nil)
	result, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]workflow.StepStatus{}
	for name, step := range result.Steps {
		got[name] = step.Status
	}
	want := map[string]workflow.StepStatus{"risky": workflow.Failed, "late": workflow.Succeeded, "rescue": workflow.Skipped, "last": workflow.Succeeded}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(result.Allowed) != 1 || len(result.Failures) != 0 {
		t.Errorf("got %v, want %v; failures %v", got, want, result.Allowed)
	}
}
