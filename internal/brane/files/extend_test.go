package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// reusable stores two results, the second of which started with what the first left and the inputs, and returns the layer that it started with.
func reusable(t *testing.T, s *Store) (results map[ResultKey]Record, base Layer) {
	t.Helper()
	ctx := t.Context()
	base, err := s.PutInputs(ctx, map[string]Source{"in/large": {Content: noise(1, 2*ChunkSize)}, "in/small": {Content: []byte("hello")}})
	if err != nil {
		t.Fatal(err)
	}
	results = map[ResultKey]Record{}
	for i, step := range []string{"one", "fan.2"} {
		layer, err := s.PutInputs(ctx, map[string]Source{"out": {Content: []byte(step)}, "large": {Content: noise(uint64(2+i), 2*ChunkSize)}, "both": {Content: noise(9, 2*ChunkSize)}, "empty": {}})
		if err != nil {
			t.Fatal(err)
		}
		record, _, err := s.Commit(ctx, resultOf(step), Record{Layer: layer, Base: base})
		if err != nil {
			t.Fatal(err)
		}
		results[resultOf(step)] = record
	}
	return results, base
}

// later returns a store of the same run with a later deadline.
func later(t *testing.T, s *Store) *Store {
	t.Helper()
	other, err := Open(Config{Redis: s.redis, Run: s.run, Deadline: s.deadline.Add(time.Hour), Patience: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// neededKeys returns the keys that a result needs.
func neededKeys(t *testing.T, s *Store, key ResultKey, record Record) map[string]bool {
	t.Helper()
	tree, err := s.Tree(t.Context(), record.Layer)
	if err != nil {
		t.Fatal(err)
	}
	chunks, err := s.listNeededChunks(t.Context(), record.Layer, tree)
	if err != nil {
		t.Fatal(err)
	}
	if record.Base != "" {
		base, err := s.listNeededChunks(t.Context(), record.Base, Tree{}) // without those of its files
		if err != nil {
			t.Fatal(err)
		}
		chunks = append(chunks, base...)
	}
	keys := map[string]bool{s.resultKey("step", key): true}
	for _, d := range chunks {
		keys[s.chunkKey(d)] = true
	}
	return keys
}

// TestExtend checks which keys get a later deadline.
func TestExtend(t *testing.T) {
	cluster := redistest.StartCluster(t)
	for name, address := range map[string]string{"one server": redistest.Start(t).URL(), "a Cluster": cluster.URL()} {
		t.Run(name, func(t *testing.T) {
			client, ctx := dial(t, address), t.Context()
			s := open(t, client, "extend")
			results, base := reusable(t, s)
			needed := map[string]bool{}
			for key, record := range results {
				maps.Copy(needed, neededKeys(t, s, key, record))
			}
			one := resultOf("one")
			if err := errors.Join(s.SetInput(ctx, base), s.SetLog(ctx, one, []byte("log")), s.NoteStart(ctx, one, "pod", time.Now()), s.SetLog(ctx, resultOf("other"), nil)); err != nil {
				t.Fatal(err)
			}
			needed[s.resultKey("log", one)], needed[s.resultKey("starts", one)] = true, true
			// One key without a deadline, and one with a later one.
			without, far := s.chunkKey(digestOf(noise(2, 2*ChunkSize)[:ChunkSize])), s.resultKey("step", one)
			if err := errors.Join(client.Persist(ctx, without).Err(), client.ExpireAt(ctx, far, s.deadline.Add(2*time.Hour)).Err()); err != nil || !needed[without] {
				t.Fatal(needed[without], err)
			}
			x := later(t, s).NewExtender()
			complete, err := x.Extend(ctx, results)
			if want := map[ResultKey]bool{resultOf("one"): true, resultOf("fan.2"): true}; err != nil || !maps.Equal(complete, want) {
				t.Fatalf("Extend says %v, %v", complete, err)
			}
			all := allKeys(t, client, "brane:extend:*")
			if len(all) <= len(needed) || len(needed) < 10 {
				t.Errorf("there are %d keys, %d are needed", len(all), len(needed))
			}
			for _, key := range all {
				want := s.deadline.Unix()
				switch {
				case key == without:
					want = -1
				case key == far:
					want += 2 * 3600
				case needed[key]:
					want += 3600
				}
				at := client.ExpireTime(ctx, key).Val()
				if got := int64(at / time.Second); got != want && (want >= 0 || at >= 0) {
					t.Errorf("%s expires at %d, want %d", key, got, want)
				}
			}
			// An earlier deadline changes nothing.
			if complete, err := s.NewExtender().Extend(ctx, results); err != nil || len(complete) != 2 || !complete[resultOf("one")] {
				t.Errorf("with an earlier deadline, Extend says %v, %v", complete, err)
			}
			if at := client.ExpireTime(ctx, s.chunkKey(mustDigest(t, base))).Val(); int64(at/time.Second) != s.deadline.Unix()+3600 {
				t.Errorf("then the base expires at %s", at)
			}
		})
	}
}

func mustDigest(t *testing.T, layer Layer) Digest {
	t.Helper()
	d, err := ParseDigest(string(layer))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// allKeys returns the keys of all masters.
func allKeys(t *testing.T, client redis.UniversalClient, pattern string) []string {
	t.Helper()
	found := make(chan []string, 16)
	err := eachMaster(t.Context(), client, func(ctx context.Context, master *redis.Client) error {
		keys, err := master.Keys(ctx, pattern).Result()
		found <- keys
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	close(found)
	var all []string
	for keys := range found {
		all = append(all, keys...)
	}
	return all
}

// TestExtendFindsWhatIsMissing removes each key that a result needs, one at a time.
func TestExtendFindsWhatIsMissing(t *testing.T) {
	client, ctx := dial(t, redistest.Start(t).URL()), t.Context()
	s := open(t, client, "missing")
	results, base := reusable(t, s)
	needs := map[ResultKey]map[string]bool{}
	for key, record := range results {
		needs[key] = neededKeys(t, s, key, record)
	}
	baseOnly := results[resultOf("one")]
	baseOnly.Base = ""
	for _, key := range allKeys(t, client, "brane:missing:*") {
		value, err := client.Dump(ctx, key).Result()
		if err := errors.Join(err, client.Del(ctx, key).Err()); err != nil {
			t.Fatal(err)
		}
		complete, err := later(t, s).NewExtender().Extend(ctx, results)
		if want := map[ResultKey]bool{resultOf("one"): !needs[resultOf("one")][key], resultOf("fan.2"): !needs[resultOf("fan.2")][key]}; err != nil || !maps.Equal(complete, want) {
			t.Errorf("without %s, Extend says %v, %v; want %v", key, complete, err, want)
		}
		if key == s.chunkKey(mustDigest(t, base)) {
			if complete, err := s.NewExtender().Extend(ctx, map[ResultKey]Record{resultOf("one"): baseOnly}); err != nil || !complete[resultOf("one")] {
				t.Errorf("of a result that names no base, Extend says %v, %v", complete, err)
			}
		}
		if err := client.Restore(ctx, key, time.Hour, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	x := later(t, s).NewExtender()
	if complete, err := x.Extend(ctx, results); err != nil || !complete[resultOf("one")] || !complete[resultOf("fan.2")] {
		t.Fatalf("with everything, Extend says %v, %v", complete, err)
	}
	// A manifest that exists, but is not one.
	for _, text := range []string{"junk", hex64 + "\n"} {
		plant(t, s, []byte("content"))
		wrong := Record{Layer: Layer(plant(t, s, []byte(text)).String())}
		if complete, err := x.Extend(ctx, map[ResultKey]Record{resultOf("one"): wrong, resultOf("fan.2"): results[resultOf("fan.2")]}); err != nil || complete[resultOf("one")] || !complete[resultOf("fan.2")] {
			t.Errorf("of the list %q, Extend says %v, %v", text, complete, err)
		}
	}
	if complete, err := x.Extend(ctx, map[ResultKey]Record{resultOf("one"): {Layer: "x"}}); err != nil || complete[resultOf("one")] {
		t.Errorf("of a layer that is none, Extend says %v, %v", complete, err)
	}
}

// TestExtendSendsNothingTwice counts the commands.
func TestExtendSendsNothingTwice(t *testing.T) {
	server := redistest.Start(t)
	client, ctx := dial(t, server.URL()), t.Context()
	s := open(t, client, "twice")
	results, _ := reusable(t, s)
	var sent atomic.Int32
	client.AddHook(counted{&sent})
	x := later(t, s).NewExtender()
	if _, err := x.Extend(ctx, map[ResultKey]Record{resultOf("one"): results[resultOf("one")]}); err != nil {
		t.Fatal(err)
	}
	first := neededKeys(t, s, resultOf("one"), results[resultOf("one")])
	const others = 3 // the keys of a result besides its record
	if got := int(sent.Swap(0)); got != len(first)+others {
		t.Errorf("it has extended %d keys, want %d", got, len(first)+others)
	}
	second := 0
	for key := range neededKeys(t, s, resultOf("fan.2"), results[resultOf("fan.2")]) {
		if !first[key] {
			second++
		}
	}
	complete, err := x.Extend(ctx, results)
	if err != nil || !complete[resultOf("one")] || !complete[resultOf("fan.2")] {
		t.Fatalf("Extend says %v, %v", complete, err)
	}
	if got := int(sent.Swap(0)); got != second+1+2*others { // and the record of the first result
		t.Errorf("then it has extended %d keys, want %d", got, second+1+2*others)
	}
	server.Kill()
	if _, err := x.Extend(ctx, results); !errors.Is(err, ErrUnreachable) || !strings.HasPrefix(fmt.Sprint(err), "run twice: extend the deadline of commits and logs: ") {
		t.Errorf("without a server, Extend says %v", err)
	}
}

// counted counts the commands that set a deadline.
type counted struct{ sent *atomic.Int32 }

func (c counted) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (c counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		for _, command := range commands {
			if command.Name() == "expireat" {
				c.sent.Add(1)
			}
		}
		return next(ctx, commands)
	}
}
