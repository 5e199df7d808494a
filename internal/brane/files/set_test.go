package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestSetIsReadByManyRuns checks that runs and sets outlive each other, and that unused chunks are deleted.
func TestSetIsReadByManyRuns(t *testing.T) {
	cluster := redistest.StartCluster(t)
	one := redistest.Start(t)
	for name, address := range map[string]string{"one server": "redis://" + one.Addr() + "/3", "a Cluster": cluster.URL()} {
		t.Run(name, func(t *testing.T) {
			client, ctx := dial(t, address), t.Context()
			set, err := OpenSet(client, "corpus")
			if err != nil {
				t.Fatal(err)
			}
			if layer, _, err := set.Layer(ctx); layer != "" || err != nil {
				t.Errorf("before, its layer is %q, %v", layer, err)
			}
			large := bytes.Repeat([]byte("0123456789"), 300_000)
			_, err = set.Put(ctx, "first", map[string]Source{"a.txt": {Content: []byte("alice")}, "deep/large": {Content: large}, "empty": {}})
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range client.Keys(ctx, "*").Val() {
				if at := client.ExpireTime(ctx, key).Val(); at >= 0 {
					t.Errorf("%s has a deadline", key)
				}
			}
			var runs []*Store
			for i := range 2 {
				run := open(t, client, fmt.Sprint("reader-", i))
				layer, err := run.PutInputs(ctx, map[string]Source{"in/corpus": {Set: Reference{"corpus", "first"}}, "own": {Content: []byte("x")}})
				if err != nil {
					t.Fatal(err)
				}
				if err := run.SetInput(ctx, layer); err != nil {
					t.Fatal(err)
				}
				runs = append(runs, run)
			}
			second, err := set.Put(ctx, "second", map[string]Source{"b.txt": {Content: []byte("bob")}})
			if err != nil {
				t.Fatal(err)
			}
			// One pack, the manifest, its list, and the record that refers to it.
			if keys, err := runKeysOf(set); err != nil || keys != 4 {
				t.Errorf("after the change, the set has %d keys, %v; want 4", keys, err)
			}
			if layer, content, err := set.Layer(ctx); layer != second || content != "second" || err != nil {
				t.Errorf("its layer is %q %q, %v; want %s", layer, content, err, second)
			}
			for _, run := range runs {
				layer, err := run.Input(ctx)
				if err != nil {
					t.Fatal(err)
				}
				tree, err := run.Tree(ctx, layer)
				if err != nil {
					t.Fatal(err)
				}
				dir, want := t.TempDir(), t.TempDir()
				if err := restored(t, run, tree, dir); err != nil {
					t.Fatal(err)
				}
				for name, content := range map[string][]byte{"in/corpus/a.txt": []byte("alice"), "in/corpus/deep/large": large, "in/corpus/empty": nil, "own": []byte("x")} {
					at := filepath.Join(want, name)
					if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, content, 0o644)); err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(disk(t, want), disk(t, dir)); diff != "" {
					t.Errorf("the run has (-want +got):\n%s", diff)
				}
			}
			// Every key of a run has its deadline, including those that were copied from a set, which has none.
			for _, run := range runs {
				for _, key := range client.Keys(ctx, run.keyOf("*")).Val() {
					if at := client.TTL(ctx, key).Val(); at <= 0 {
						t.Errorf("%s has no deadline", key)
					}
				}
			}
			_, err = runs[0].PutInputs(ctx, map[string]Source{"in": {Set: Reference{"corpus", "first"}}})
			if !errors.Is(err, ErrGone) {
				t.Errorf("of a content that is gone, PutInputs says %v", err)
			}
			if err := errors.Join(runs[0].Delete(ctx), runs[1].Delete(ctx), set.Delete(ctx)); err != nil {
				t.Error(err)
			}
			if n := client.DBSize(ctx).Val(); n != 0 {
				t.Errorf("%d keys are left", n)
			}
		})
	}
}

// runKeysOf counts the keys of a set on all masters.
func runKeysOf(s *Set) (int, error) {
	store, err := s.Store()
	if err != nil {
		return 0, err
	}
	var all atomic.Int64
	err = eachMaster(context.Background(), s.redis, func(ctx context.Context, master *redis.Client) error {
		keys, err := master.Keys(ctx, store.keyOf("*")).Result()
		all.Add(int64(len(keys)))
		return err
	})
	return int(all.Load()), err
}

// TestSetOwners checks that the record of a set has owners or none, that new content keeps them, and that its content is read without them.
func TestSetOwners(t *testing.T) {
	client, ctx := dial(t, "redis://"+redistest.Start(t).Addr()), t.Context()
	set, err := OpenSet(client, "corpus")
	if err != nil {
		t.Fatal(err)
	}
	if err := set.SetOwners(ctx, []string{"one"}); !errors.Is(err, ErrGone) {
		t.Errorf("before the set exists: %v", err)
	}
	var owners []string
	for i, next := range [][]string{{"one"}, {"one", "two"}, {"two"}, nil} {
		want := fmt.Sprintf("content-%d", i)
		if _, err := set.Put(ctx, want, map[string]Source{"a": {Content: []byte(want)}}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			stored, err := set.Owners(ctx)
			_, content, contentErr := set.Layer(ctx)
			if !slices.Equal(stored, owners) || content != want || err != nil || contentErr != nil {
				t.Errorf("the owners are %q and not %q, the content %q: %v, %v", stored, owners, content, err, contentErr)
			}
			owners = next
			if err := set.SetOwners(ctx, owners); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSetIsCopiedAgainUntilTheLaterDeadline checks that a run that uses a set again keeps its copies as long as it needs them, and kept outputs permanently.
func TestSetIsCopiedAgainUntilTheLaterDeadline(t *testing.T) {
	for name, client := range map[string]redis.UniversalClient{"one server": dial(t, redistest.Start(t).URL()), "a Cluster": dial(t, redistest.StartCluster(t).URL())} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			set, err := OpenSet(client, "set")
			if err != nil {
				t.Fatal(err)
			}
			content := digestOf(nil).String()
			if _, err := set.Put(ctx, content, map[string]Source{"kept": {Content: noise(1, 2*ChunkSize)}, "other": {Content: noise(2, 2*ChunkSize)}}); err != nil {
				t.Fatal(err)
			}
			s, sources := open(t, client, "run"), map[string]Source{"in": {Set: Reference{"set", content}}}
			layer, err := s.PutInputs(ctx, sources)
			if err != nil {
				t.Fatal(err)
			}
			tree, err := s.Tree(ctx, layer)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Keep(ctx, []string{"in/kept"}, tree, 0); err != nil {
				t.Fatal(err)
			}
			next := later(t, s)
			for _, latest := range []*Store{next, s} {
				if _, err := latest.PutInputs(ctx, sources); err != nil {
					t.Fatal(err)
				}
				for path, want := range map[string]time.Duration{"in/kept": -1, "in/other": time.Duration(next.deadline.Unix()) * time.Second} {
					e, _ := tree.Lookup(path)
					for _, d := range e.Chunks {
						if at := client.ExpireTime(ctx, s.chunkKey(d)).Val(); at != want {
							t.Errorf("a chunk of %s expires at %s, want %s", path, at, want)
						}
					}
				}
			}
		})
	}
}
