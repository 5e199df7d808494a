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
	fingerprints := map[string]files.Fingerprint{}
	for _, step := range graph.All() {
		fingerprints[step.Name] = fingerprintOf(store, step.Name)
	}
	if err := store.Files().SetFingerprints(t.Context(), fingerprints); err != nil {
		t.Fatal(err)
	}
	return store, client
}

// seen is what all steps see.
const seen = "0123456789abcdef0123456789abcdef"

// fingerprintOf returns the fingerprint of a step, or of an index as "fan.3".
func fingerprintOf(store *Store, name string) files.Fingerprint {
	step, _, isIndex := strings.Cut(name, ".")
	if isIndex {
		return store.graph.Step(step).IndexFingerprints(seen)[name]
	}
	return store.graph.Step(step).Fingerprint(seen)
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
	commitDirectory(t, store, step, directory)
}

// commitDirectory commits a step that has left this directory.
func commitDirectory(t *testing.T, store *Store, step, directory string) {
	t.Helper()
	stored, err := store.Files().Snapshot(t.Context(), directory, nil, nil, step)
	if err != nil {
		t.Fatal(err)
	}
	key := files.ResultKey{Step: step, Fingerprint: fingerprintOf(store, step)}
	if _, _, err := store.Files().Commit(t.Context(), key, files.Record{Attempt: 1, Layer: stored.Layer, Started: time.Now(), Ended: time.Now()}); err != nil {
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
		if err := store.StoreFailure(t.Context(), &workflow.Failure{Step: step, End: workflow.End{Code: 3}}, fingerprintOf(store, step), Term{"record", 1}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.StoreFailure(t.Context(), &workflow.Failure{Step: "last"}, fingerprintOf(store, "last"), Term{"record", 1}); err != nil {
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
		if step.Fingerprint != fingerprintOf(store, name) && step.Status != workflow.Skipped {
			t.Errorf("the fingerprint of step %s is %s", name, step.Fingerprint)
		}
	}
	want := map[string]workflow.StepStatus{"risky": workflow.Failed, "late": workflow.Succeeded, "rescue": workflow.Skipped, "last": workflow.Succeeded}
	if fmt.Sprint(got) != fmt.Sprint(want) || len(result.Allowed) != 1 || len(result.Failures) != 0 {
		t.Errorf("got %v, want %v; failures %v", got, want, result.Allowed)
	}
}

// TestResultsOfTheLatestExecution checks that readers ignore earlier results of the same steps, and results of steps that the run does not have any more.
func TestResultsOfTheLatestExecution(t *testing.T) {
	t.Parallel()
	const other = files.Fingerprint("fedcba9876543210fedcba9876543210-" + seen)
	store, _ := openResults(t, workflowtest.GraphOf(t, workflow.Step{Name: "one"}, workflow.Step{Name: "risky", AllowFailure: true}, workflow.Step{Name: "fan", Completions: 2}))
	for _, name := range []string{"one", "risky", "fan.0", "fan"} {
		commitFiles(t, store, name, nil)
		if err := store.Files().NoteStart(t.Context(), files.ResultKey{Step: name, Fingerprint: fingerprintOf(store, name)}, "pod", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if indexes, err := store.Indexes(t.Context(), "fan", fingerprintOf(store, "fan")); err != nil || len(indexes) != 2 || !indexes[0].IsCommitted || indexes[0].Attempts != 1 || indexes[1].IsCommitted || indexes[1].Attempts != 0 {
		t.Errorf("the indexes are %+v, %v", indexes, err)
	}
	if indexes, err := store.Indexes(t.Context(), "fan", "fedcba9876543210fedcba9876543210-fedcba9876543210fedcba9876543210"); err != nil || len(indexes) != 2 || indexes[0].IsCommitted {
		t.Errorf("of another fingerprint, the indexes are %+v, %v", indexes, err)
	}
	result, err := store.Load(t.Context())
	if err != nil || result.Steps["one"].Attempts != 1 || result.Steps["fan"].Attempts != 1 {
		t.Errorf("the result is %+v, %v", result, err)
	}
	if err := store.Files().SetFingerprints(t.Context(), map[string]files.Fingerprint{"risky": other, "removed": other}); err != nil {
		t.Fatal(err)
	}
	if err := store.StoreFailure(t.Context(), &workflow.Failure{Step: "risky"}, other, Term{"record", 1}); err != nil {
		t.Fatal(err)
	}
	result, err = store.Load(t.Context())
	if err != nil || result.Steps["risky"].Status != workflow.Failed || result.Steps["risky"].Fingerprint != other || len(result.Steps) != 3 {
		t.Errorf("the result is %+v, %v", result, err)
	}
	if err := store.Files().ResetFingerprints(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Load(t.Context()); !errors.Is(err, files.ErrGone) {
		t.Errorf("without fingerprints: %v", err)
	}
}

// Refresh leaves what is known of steps, and whether their results are reused.
func TestRefresh(t *testing.T) {
	t.Parallel()
	store, _ := openResults(t, workflowtest.Graph(t, "one", "two", "three"))
	commitFiles(t, store, "one", nil)
	commitFiles(t, store, "two", nil)
	result := workflow.Result{Steps: map[string]workflow.StepResult{"one": {Status: workflow.Succeeded, Reused: true}, "three": {Status: workflow.Stopped}}}
	if err := store.Refresh(t.Context(), &result); err != nil {
		t.Fatal(err)
	}
	one, two := result.Steps["one"], result.Steps["two"]
	if !one.Reused || one.Layer == "" || one.Fingerprint != fingerprintOf(store, "one") || two.Reused || two.Status != workflow.Succeeded || result.Steps["three"].Status != workflow.Stopped {
		t.Errorf("the result is %+v", result)
	}
}

// FindGone returns the succeeded steps whose commit or list of files is gone.
func TestFindGone(t *testing.T) {
	t.Parallel()
	store, client := openResults(t, workflowtest.Graph(t, "kept", "uncommitted", "lost", "stopped"))
	for _, step := range []string{"kept", "uncommitted", "lost"} {
		commitFiles(t, store, step, map[string]string{step: step})
	}
	var result workflow.Result
	if err := store.Refresh(t.Context(), &result); err != nil {
		t.Fatal(err)
	}
	result.Steps["stopped"] = workflow.StepResult{Status: workflow.Stopped}
	if gone, _, err := store.FindGone(t.Context(), result.Steps); err != nil || len(gone) > 0 {
		t.Errorf("at first %q are gone, %v", gone, err)
	}
	// An execution carries the changes of a step over to other inputs.
	moved, err := store.Files().PutInputs(t.Context(), map[string]files.Source{"other": {Content: []byte("other")}})
	if err != nil {
		t.Fatal(err)
	}
	key := files.ResultKey{Step: "kept", Fingerprint: fingerprintOf(store, "kept")}
	if err := store.Files().ReplaceCommit(t.Context(), key, files.Record{Attempt: 1, Layer: moved, Started: time.Now(), Ended: time.Now()}); err != nil {
		t.Fatal(err)
	}
	client.Del(t.Context(), "brane:run:c:"+string(result.Steps["kept"].Layer)) // it expires first
	client.Del(t.Context(), "brane:run:step:uncommitted:"+string(fingerprintOf(store, "uncommitted")), "brane:run:c:"+string(result.Steps["lost"].Layer))
	if gone, layers, err := store.FindGone(t.Context(), result.Steps); err != nil || !slices.Equal(gone, []string{"lost", "uncommitted"}) || len(layers) != 1 || layers["kept"] != moved {
		t.Errorf("%q are gone, %v; the files of the others are in %v", gone, err, layers)
	}
	if gone, _, err := store.FindGone(t.Context(), nil); err != nil || len(gone) > 0 {
		t.Errorf("of nothing %q are gone, %v", gone, err)
	}
}

// TestOutputsBehindLinksConflict checks that steps conflict whose links, or the files to which these lead, decide what an output is.
func TestOutputsBehindLinksConflict(t *testing.T) {
	write := func(path, content string) error {
		return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600))
	}
	for name, tt := range map[string]struct {
		run    func(directory, step string) error
		output string
	}{
		"the target of a link": {func(directory, step string) error {
			return errors.Join(write(filepath.Join(directory, "model-1"), step), os.Symlink("model-1", filepath.Join(directory, "latest")))
		}, "latest"},
		"a link above": {func(directory, step string) error {
			return errors.Join(write(filepath.Join(directory, step, "model"), step), os.Symlink(step, filepath.Join(directory, "current")))
		}, "current/model"},
		"a file above": {func(directory, step string) error {
			if step == "right" {
				return write(filepath.Join(directory, "current"), step)
			}
			return write(filepath.Join(directory, "current", "model"), step)
		}, "current/model"},
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := openResults(t, workflowtest.Graph(t, "left", "right"))
			for _, step := range []string{"left", "right"} {
				directory := t.TempDir()
				if err := errors.Join(tt.run(directory, step), write(filepath.Join(directory, "log"), step), write(filepath.Join(directory, "fine"), "same")); err != nil {
					t.Fatal(err)
				}
				commitDirectory(t, store, step, directory)
			}
			result, err := store.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var conflict *files.ConflictError
			if _, outputs, err := store.TakeOutputs(t.Context(), result, []string{tt.output}, 1000); !errors.As(err, &conflict) {
				t.Errorf("TakeOutputs returns %v, %v", outputs, err)
			}
			if _, outputs, err := store.TakeOutputs(t.Context(), result, []string{"fine"}, 1000); err != nil || string(outputs["fine"].Content) != "same" {
				t.Errorf("of a file without a conflict, TakeOutputs returns %v, %v", outputs, err)
			}
		})
	}
}

// An allowed failure that is not stored any more, or that a commit has followed, is not what the next execution finds.
func TestFindGoneFailures(t *testing.T) {
	t.Parallel()
	store, client := openResults(t, workflowtest.GraphOf(t,
		workflow.Step{Name: "kept", AllowFailure: true}, workflow.Step{Name: "expired", AllowFailure: true}, workflow.Step{Name: "late", AllowFailure: true}, workflow.Step{Name: "other"},
	))
	steps := map[string]workflow.StepResult{}
	for _, step := range []string{"kept", "expired", "late", "other"} {
		steps[step] = workflow.StepResult{Status: workflow.Failed, Fingerprint: fingerprintOf(store, step)}
		if err := store.StoreFailure(t.Context(), &workflow.Failure{Step: step, End: workflow.End{Code: 3}}, steps[step].Fingerprint, Term{"record", 1}); err != nil {
			t.Fatal(err)
		}
	}
	if gone, _, err := store.FindGone(t.Context(), steps); err != nil || len(gone) > 0 {
		t.Errorf("at first %q are gone, %v", gone, err)
	}
	commitFiles(t, store, "late", nil)
	client.Del(t.Context(), "brane:run:failed:expired:"+string(steps["expired"].Fingerprint))
	if gone, layers, err := store.FindGone(t.Context(), steps); err != nil || !slices.Equal(gone, []string{"expired", "late"}) || len(layers) > 0 {
		t.Errorf("%q are gone, %v; files are in %v", gone, err, layers)
	}
}
