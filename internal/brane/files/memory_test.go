package files

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestStoredInputsNeedNoMemory stores what is stored already, of which the server could not store a second copy, with one more file.
func TestStoredInputsNeedNoMemory(t *testing.T) {
	const size = 12 << 20
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, noise(1, size), 0o600); err != nil {
		t.Fatal(err)
	}
	large, more := Source{Path: file}, Source{Content: []byte("more")}
	reference := func(s string) Reference { return Reference{"set", digestOf([]byte(s)).String()} }
	for name, tt := range map[string]struct {
		memory string
		// put stores the inputs or the set for the nth time, with additional files.
		put func(set *Set, run *Store, n int, add map[string]Source) error
	}{
		"the inputs of a run": {"23mb", func(_ *Set, run *Store, _ int, add map[string]Source) error {
			add["large"] = large
			_, err := run.PutInputs(t.Context(), add)
			return err
		}},
		"a set": {"23mb", func(set *Set, _ *Store, n int, add map[string]Source) error {
			add["large"] = large
			_, err := set.Put(t.Context(), reference(string(rune(n))).Content, add)
			return err
		}},
		"a set in a run": {"35mb", func(set *Set, run *Store, n int, add map[string]Source) error {
			if n == 0 {
				if _, err := set.Put(t.Context(), reference("").Content, map[string]Source{"large": large}); err != nil {
					return err
				}
			}
			add["in"] = Source{Set: reference("")}
			_, err := run.PutInputs(t.Context(), add)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, redistest.Start(t, "--maxmemory", tt.memory).URL())
			set, err := OpenSet(client, "set")
			if err != nil {
				t.Fatal(err)
			}
			run := open(t, client, "run")
			if err := tt.put(set, run, 0, map[string]Source{}); err != nil {
				t.Fatal(err)
			}
			if err := tt.put(set, later(t, run), 1, map[string]Source{"more": more}); err != nil {
				t.Errorf("with one more file: %v", err)
			}
			keys := client.DBSize(t.Context()).Val()
			var full *FullError
			err = tt.put(set, run, 2, map[string]Source{"another": {Content: noise(2, size)}, "more": more})
			if !errors.As(err, &full) || full.Need < size || full.Need > size+size/50+1<<20 {
				t.Errorf("with another large file: %v", err)
			}
			if got := client.DBSize(t.Context()).Val(); got != keys {
				t.Errorf("%d keys were written before that", got-keys)
			}
		})
	}
	t.Run("a set that does not fit into the run", func(t *testing.T) {
		client := dial(t, redistest.Start(t, "--maxmemory", "20mb").URL())
		set, err := OpenSet(client, "set")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.Put(t.Context(), reference("").Content, map[string]Source{"large": large}); err != nil {
			t.Fatal(err)
		}
		keys := client.DBSize(t.Context()).Val()
		if _, err := open(t, client, "run").PutInputs(t.Context(), map[string]Source{"in": {Set: reference("")}}); !errors.As(err, new(*FullError)) {
			t.Errorf("PutInputs says %v", err)
		}
		if got := client.DBSize(t.Context()).Val(); got != keys {
			t.Errorf("%d keys were written before that", got-keys)
		}
	})
}
