package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// newTestMerger returns an index merger with its own reuser.
func newTestMerger(graph workflow.Graph, store *files.Store) *indexMerger {
	return newIndexMerger(graph, store, newReuser(graph, store))
}

// startEmpty returns what a step starts with that sees no files.
func startEmpty(t *testing.T, graph workflow.Graph, store *files.Store, step string) stepStart {
	t.Helper()
	stored, err := store.Snapshot(t.Context(), t.TempDir(), nil, nil, "before")
	if err != nil {
		t.Fatal(err)
	}
	seen, of := stored.Content, graph.Step(step)
	return stepStart{Stored: stored, seen: seen, fingerprint: of.Fingerprint(seen), indexes: of.IndexFingerprints(seen)}
}

// hasNone reports that every step has files.
func hasNone(string) bool { return false }

// isEachOwn reports that a commit was created in this execution.
func isEachOwn(string, files.Record) bool { return true }

// Indexes that have committed different files are merged into one step; indexes with different content for one path are not.
func TestManyBecomeOne(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	graph, err := workflow.NewGraph([]workflow.Step{{Name: "before"}, {Name: "fan", Completions: 3, Needs: []string{"before"}}})
	if err != nil {
		t.Fatal(err)
	}
	var number atomic.Int32
	for name, tt := range map[string]struct {
		left [3]map[string]string
		want string
	}{
		"each its own":                {[3]map[string]string{{"a": "0"}, {"b": "1"}, {"c": "2"}}, "map[a:fan.0 b:fan.1 c:fan.2]"},
		"the same content everywhere": {[3]map[string]string{{"a": "x"}, {"a": "x"}, {"a": "x"}}, "map[a:fan.0]"},
		"different content":           {[3]map[string]string{{"a": "0"}, {}, {"a": "2"}}, `steps "fan.0" and "fan.2" wrote different content to "a"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, err := files.Open(files.Config{Redis: server.Client(), Run: fmt.Sprintf("run-%d", number.Add(1)), Deadline: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			start := startEmpty(t, graph, store, "fan")
			commit := func(i int) {
				folder := t.TempDir()
				for name, content := range tt.left[i] {
					if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				part := fmt.Sprintf("fan.%d", i)
				stored, err := store.Snapshot(t.Context(), folder, nil, nil, part)
				if err != nil {
					t.Fatal(err)
				}
				at := time.Unix(int64(1000+i), 0).UTC()
				record := files.Record{Attempt: 1 + i, Layer: stored.Layer, Content: stored.Content, Base: start.Layer, Started: at, Ended: at.Add(time.Minute)}
				if _, _, err := store.Commit(t.Context(), start.keyOf(part), record); err != nil {
					t.Fatal(err)
				}
			}
			g := newTestMerger(graph, store)
			look := func() (files.Record, string) {
				records, conflicts, err := g.readCommits(t.Context(), g.listUnknown("fan"), map[string]stepStart{"fan": start}, hasNone, isEachOwn)
				if err != nil {
					t.Fatal(err)
				}
				if conflict := conflicts["fan"]; conflict != nil {
					return files.Record{}, conflict.Error()
				}
				record, found := records["fan"]
				if !found {
					return files.Record{}, "not committed"
				}
				tree, err := store.Tree(t.Context(), record.Layer)
				if err != nil {
					t.Fatal(err)
				}
				by := map[string]string{}
				for entry := range tree.All() {
					by[entry.Path] = entry.By
				}
				return record, fmt.Sprint(by)
			}
			commit(2)
			commit(0)
			if _, got := look(); got != "not committed" {
				t.Fatalf("with two of three it is %s", got)
			}
			commit(1)
			record, got := look()
			if got != tt.want {
				t.Fatalf("got %s\nwant %s", got, tt.want)
			}
			if record.Layer == "" {
				return
			}
			if record.Attempt != 3 || record.Started.Unix() != 1000 || record.Ended.Unix() != 1062 {
				t.Errorf("the record is %+v", record)
			}
			// Another process finds the commit of the step.
			g = newTestMerger(graph, store)
			if again, got := look(); again.Layer != record.Layer || got != tt.want {
				t.Errorf("read again it is %s in %+v", got, again)
			}
		})
	}
	if parts := graph.Step("fan").IndexKeys(); !slices.Equal(parts, []string{"fan.0", "fan.1", "fan.2"}) || len(graph.Step("before").IndexKeys()) > 0 {
		t.Errorf("parts %q", parts)
	}
}

// A fail-over loses the merged layer of a fan-out step before the step is committed, and it is stored again.
func TestTheJoiningOfManyIsStoredAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	graph, err := workflow.NewGraph([]workflow.Step{{Name: "fan", Completions: 2}})
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	store, err := files.Open(files.Config{Redis: client, Run: "run", Deadline: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	start := startEmpty(t, graph, store, "fan")
	for _, part := range graph.Step("fan").IndexKeys() {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, part), []byte(part), 0o600); err != nil {
			t.Fatal(err)
		}
		stored, err := store.Snapshot(t.Context(), folder, nil, nil, part)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := store.Commit(t.Context(), start.keyOf(part), files.Record{Layer: stored.Layer, Base: start.Layer}); err != nil {
			t.Fatal(err)
		}
	}
	losing := &forgetful{server: server.Client()}
	client.AddHook(losing)
	g := newTestMerger(graph, store)
	records, _, err := g.readCommits(t.Context(), g.listUnknown("fan"), map[string]stepStart{"fan": start}, hasNone, isEachOwn)
	if err != nil {
		t.Fatal(err)
	}
	if !losing.done {
		t.Error("nothing was lost")
	}
	if tree, err := store.Tree(t.Context(), records["fan"].Layer); err != nil || tree.Len() != 2 {
		t.Errorf("it has left %d files, %v", tree.Len(), err)
	}
}

// forgetful loses the first value that is set, like a replica that takes over at that moment.
type forgetful struct {
	server *redis.Client
	done   bool
}

func (f *forgetful) DialHook(next redis.DialHook) redis.DialHook { return next }
func (f *forgetful) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (f *forgetful) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && cmd.Name() == "set" && !f.done {
			f.done = true
			return f.server.Del(ctx, fmt.Sprint(cmd.Args()[1])).Err()
		}
		return err
	}
}

// Layers that are merged in groups give the layer of one merge: each index creates a file, and some change, remove or replace what was there before.
func TestMergeInGroups(t *testing.T) {
	t.Parallel()
	graph, err := workflow.NewGraph([]workflow.Step{{Name: "before"}, {Name: "fan", Completions: 2*layersAtOnce + 3, Needs: []string{"before"}}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := files.Open(files.Config{Redis: redistest.Start(t).Client(), Run: "run", Deadline: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	write := func(folder, name, content string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700), os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	folder := t.TempDir()
	for i := range 20 {
		write(folder, fmt.Sprintf("old/%d", i), "before")
	}
	before, err := store.Snapshot(t.Context(), folder, nil, nil, "before")
	if err != nil {
		t.Fatal(err)
	}
	var layers []indexLayer
	all := map[string]files.Layer{}
	for i, index := range graph.Step("fan").IndexKeys() {
		folder, staged := t.TempDir(), &files.Staged{Layer: before.Layer}
		if err := store.Restore(t.Context(), staged, folder); err != nil {
			t.Fatal(err)
		}
		switch old := filepath.Join(folder, "old", fmt.Sprint(i/7)); {
		case i%7 > 0 || i/7 >= 20:
		case i%3 == 0:
			err = os.Remove(old)
		case i%3 == 1:
			write(folder, filepath.Join("old", fmt.Sprint(i/7)), index)
		default:
			err = errors.Join(os.Remove(old), os.Mkdir(old, 0o700))
		}
		if err != nil {
			t.Fatal(err)
		}
		write(folder, fmt.Sprintf("new/%d/%d", i%5, i), index)
		stored, err := store.Snapshot(t.Context(), folder, staged, nil, index)
		if err != nil {
			t.Fatal(err)
		}
		layers, all[index] = append(layers, indexLayer{index, stored}), stored.Layer
	}
	ancestry := graph.Ancestry("fan", hasNone)
	want, err := store.Union(t.Context(), all, ancestry)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newTestMerger(graph, store).mergeLayers(t.Context(), layers, ancestry); err != nil || got != want {
		t.Errorf("merged in groups it is %v, %v; at once %v", got, err, want)
	}
}
