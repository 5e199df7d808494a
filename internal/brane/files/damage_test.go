package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestDamageIsFoundAndRepaired checks that Damage names the files with lost or changed chunks, and that the next Put of the same
// content repairs the set.
func TestDamageIsFoundAndRepaired(t *testing.T) {
	content := map[string][]byte{ // in two packs: a, one and the beginning of two; the rest of two
		"a": []byte("alice"), "one": noise(1, ChunkSize/2), "two": bytes.Repeat([]byte("2"), ChunkSize-9), "empty": nil,
		"large": bytes.Repeat([]byte("0123456789"), 300_000), "larger": noise(1, Verified+2*ChunkSize+5),
	}
	sources := map[string]Source{}
	for name, text := range content {
		sources[name] = Source{Content: text}
	}
	client := dial(t, redistest.Start(t).URL())
	set, err := OpenSet(client, "corpus")
	if err != nil {
		t.Fatal(err)
	}
	store, err := set.Store()
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	put := func() Layer {
		t.Helper()
		layer, err := set.Put(ctx, "content", sources)
		if err != nil {
			t.Fatal(err)
		}
		return layer
	}
	layer := put()
	tree, err := store.Tree(ctx, layer)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := store.manifestParts(ctx, layer)
	if err != nil {
		t.Fatal(err)
	}
	chunk := func(name string, i int) string {
		e, _ := tree.Lookup(name)
		if i < 0 {
			i += len(e.Chunks)
		}
		return store.chunkKey(e.Chunks[i])
	}
	list := store.keyOf("c:" + string(layer))
	before := keysOf(ctx, client)
	gone := func(keys ...string) error { return client.Unlink(ctx, keys...).Err() }
	changes := func(key string, with func(string) string) error {
		text, err := client.Get(ctx, key).Result()
		return errors.Join(err, client.Set(ctx, key, with(text), redis.KeepTTL).Err())
	}
	other := func(text string) string { return string(text[0]^1) + text[1:] }
	shorter := func(text string) string { return text[1:] }
	longer := func(text string) string { return text + "x" }

	for name, tt := range map[string]struct {
		meddle        func() error
		lost, changed []string
		want          error // of Damage, if the list of files is not known
	}{
		"nothing":                                   {func() error { return nil }, nil, nil, nil},
		"a pack is gone":                            {func() error { return gone(chunk("a", 0)) }, []string{"a", "one", "two"}, nil, nil},
		"a chunk of a large file is gone":           {func() error { return gone(chunk("large", 1)) }, []string{"large"}, nil, nil},
		"a chunk is empty":                          {func() error { return client.Set(ctx, chunk("large", 1), "", 0).Err() }, []string{"large"}, nil, nil},
		"a pack has another byte":                   {func() error { return changes(chunk("two", -1), other) }, nil, []string{"two"}, nil},
		"a pack is shorter":                         {func() error { return changes(chunk("two", -1), shorter) }, nil, []string{"two"}, nil},
		"a pack is longer":                          {func() error { return changes(chunk("two", -1), longer) }, nil, []string{"two"}, nil},
		"a chunk has another byte":                  {func() error { return changes(chunk("large", 0), other) }, nil, []string{"large"}, nil},
		"the last chunk of the largest is longer":   {func() error { return changes(chunk("larger", -1), longer) }, nil, []string{"larger"}, nil},
		"a middle chunk of the largest is shorter":  {func() error { return changes(chunk("larger", 5), shorter) }, nil, []string{"larger"}, nil},
		"one is gone and one is changed":            {func() error { return errors.Join(gone(chunk("larger", 0)), changes(chunk("a", 0), other)) }, []string{"larger"}, []string{"a", "one", "two"}, nil},
		"the list of the manifest's chunks is gone": {func() error { return gone(list) }, nil, nil, ErrGone},
		"that list has another byte":                {func() error { return changes(list, other) }, nil, nil, ErrCorrupt},
		"the manifest is changed, and so is all": {func() error {
			return errors.Join(changes(list, shorter), changes(store.chunkKey(parts[0]), other), changes(chunk("a", 0), other))
		}, nil, nil, ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			if err := tt.meddle(); err != nil {
				t.Fatal(err)
			}
			lost, changed, err := store.Damage(ctx, layer)
			if !slices.Equal(lost, tt.lost) || !slices.Equal(changed, tt.changed) || !errors.Is(err, tt.want) {
				t.Errorf("Damage says %q, %q, %v\nwant        %q, %q, %v", lost, changed, err, tt.lost, tt.changed, tt.want)
			}
			if again := put(); again != layer {
				t.Fatalf("the next Put makes layer %s, and not %s", again, layer)
			}
			if after := keysOf(ctx, client); !maps.Equal(before, after) {
				t.Errorf("the keys were %v\nand are now %v", before, after)
			}
			for name, want := range content {
				e, _ := tree.Lookup(name)
				var got bytes.Buffer
				if err := store.Read(ctx, e, &got); err != nil || !bytes.Equal(got.Bytes(), want) {
					t.Errorf("%s: %d bytes, %v", name, got.Len(), err)
				}
			}
		})
	}
}

// TestDeadlinesThatReturnAreRemoved sets a deadline for all keys of a set, and of the outputs of a run, as a fail-over that loses PERSIST does.
func TestDeadlinesThatReturnAreRemoved(t *testing.T) {
	client := dial(t, redistest.Start(t).URL())
	ctx := t.Context()
	content := map[string][]byte{"small": []byte("hello"), "large": bytes.Repeat([]byte("0123456789"), 300_000)}
	set, err := OpenSet(client, "corpus")
	if err != nil {
		t.Fatal(err)
	}
	layer, err := set.Put(ctx, "content", map[string]Source{"small": {Content: content["small"]}, "large": {Content: content["large"]}})
	if err != nil {
		t.Fatal(err)
	}
	run := open(t, client, "run")
	kept, _, err := run.Keep(ctx, []string{"small", "large"}, leave(t, run, content), 0)
	if err != nil {
		t.Fatal(err)
	}
	permanent := map[string]bool{}
	for key, left := range keysOf(ctx, client) {
		if left == "-1ns" {
			permanent[key] = true
			client.Expire(ctx, key, time.Minute)
		}
	}
	for name, damage := range map[string]func() (lost, changed []string, err error){
		"the set":     func() ([]string, []string, error) { return set.Damage(ctx, layer) },
		"the outputs": func() ([]string, []string, error) { return run.Damage(ctx, kept) },
	} {
		if lost, changed, err := damage(); lost != nil || changed != nil || err != nil {
			t.Errorf("of %s, %q is lost and %q changed, %v", name, lost, changed, err)
		}
	}
	for key, left := range keysOf(ctx, client) {
		if (left == "-1ns") != permanent[key] {
			t.Errorf("key %s expires in %s", key, left)
		}
	}
}

// keysOf returns the keys of a server with their remaining time, -1ns if they have no deadline.
func keysOf(ctx context.Context, client redis.UniversalClient) map[string]string {
	keys := map[string]string{}
	for _, key := range client.Keys(ctx, "*").Val() {
		keys[key] = fmt.Sprint(client.TTL(ctx, key).Val())
	}
	return keys
}

// TestLargeSetIsNotReadByEachPlan checks that only the size of files above the limit is checked.
func TestLargeSetIsNotReadByEachPlan(t *testing.T) {
	server := redistest.Start(t)
	client, ctx := dial(t, server.URL()), t.Context()
	set, err := OpenSet(client, "corpus")
	if err != nil {
		t.Fatal(err)
	}
	layer, err := set.Put(ctx, "content", map[string]Source{"small": {Content: []byte("alice")}, "large": {Content: noise(1, 2*Verified)}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := set.Store()
	if err != nil {
		t.Fatal(err)
	}
	sent := func() int64 {
		info, err := client.Info(ctx, "stats").Result()
		if err != nil {
			t.Fatal(err)
		}
		return infoNumber(info, "total_net_output_bytes")
	}
	before := sent()
	if lost, changed, err := store.Damage(ctx, layer); lost != nil || changed != nil || err != nil {
		t.Errorf("Damage says %q, %q, %v", lost, changed, err)
	}
	if read := sent() - before; read > Verified+ChunkSize {
		t.Errorf("to look at the set took %d bytes", read)
	}
}
