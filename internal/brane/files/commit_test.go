package files

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

var (
	someLayer       = Layer(digestOf([]byte("layer")).String())
	someFingerprint = NewFingerprint(ShortDigest([]byte("configuration")), ShortDigest([]byte("seen")))
)

// resultOf returns the key of a result of a step.
func resultOf(step string) ResultKey { return ResultKey{step, someFingerprint} }

// fingerprintsOf returns the same fingerprint for several steps.
func fingerprintsOf(steps ...string) map[string]Fingerprint {
	fingerprints := map[string]Fingerprint{}
	for _, step := range steps {
		fingerprints[step] = someFingerprint
	}
	return fingerprints
}

// TestFirstCommitWins checks that one of many concurrent writers wins and all see its record.
func TestFirstCommitWins(t *testing.T) {
	server := redistest.Start(t)
	const writers = 8
	var all sync.WaitGroup
	firsts, wins := make([]Record, writers), make([]bool, writers)
	errs := make([]error, writers)
	for i := range writers {
		s := open(t, dial(t, server.URL()), "commit")
		all.Go(func() {
			firsts[i], wins[i], errs[i] = s.Commit(t.Context(), resultOf("count"), Record{Attempt: i + 1, Layer: someLayer})
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	won := 0
	for i := range writers {
		if wins[i] {
			won++
			if firsts[i].Attempt != i+1 {
				t.Errorf("attempt %d won with the record of attempt %d", i+1, firsts[i].Attempt)
			}
		}
		if !reflect.DeepEqual(firsts[i], firsts[0]) {
			t.Errorf("writers saw different records: %v and %v", firsts[i], firsts[0])
		}
	}
	if won != 1 {
		t.Errorf("%d writers won", won)
	}
	s := open(t, dial(t, server.URL()), "commit")
	records, err := s.Commits(t.Context(), fingerprintsOf("split", "count", "count.3"))
	if diff := cmp.Diff(map[string]Record{"count": firsts[0]}, records); err != nil || diff != "" {
		t.Errorf("Commits: %v, (-want +got)\n%s", err, diff)
	}
}

func TestCommitRefuses(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "commit")
	for name, tt := range map[string]struct {
		key  ResultKey
		r    Record
		want string // after "run commit: commit"
	}{
		"a step with a colon":       {resultOf("a:b"), Record{Layer: someLayer}, `: "a:b" is not a valid step name`},
		"an index without number":   {resultOf("a.x"), Record{Layer: someLayer}, `: "a.x" is not a valid step name`},
		"no fingerprint":            {ResultKey{Step: "a"}, Record{Layer: someLayer}, `: step a: "" is not a fingerprint of two times 32 hex digits`},
		"half a fingerprint":        {ResultKey{"a", "00-00"}, Record{Layer: someLayer}, `: step a: "00-00" is not a fingerprint of two times 32 hex digits`},
		"a record without layer":    {resultOf("a"), Record{}, ` step "a": commit record is corrupt: layer: "" is not a digest of 64 hex digits`},
		"a record with a bad base":  {resultOf("a"), Record{Layer: someLayer, Base: "x"}, ` step "a": commit record is corrupt: base: "x" is not a digest of 64 hex digits`},
		"a record with bad content": {resultOf("a"), Record{Layer: someLayer, Content: "x"}, ` step "a": commit record is corrupt: content: "x" is not a digest of 32 hex digits`},
		"a record of the future":    {resultOf("a"), Record{V: 9, Layer: someLayer}, ` step "a": commit record was written in a newer format (version 9, this program knows 2)`},
		"a record of the past":      {resultOf("a"), Record{V: 1, Layer: someLayer}, ` step "a": commit record is corrupt: version 1`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := s.Commit(t.Context(), tt.key, tt.r); fmt.Sprint(err) != "run commit: commit"+tt.want {
				t.Errorf("got  %v\nwant run commit: commit%s", err, tt.want)
			}
			if err := s.ReplaceCommit(t.Context(), tt.key, tt.r); !strings.HasSuffix(fmt.Sprint(err), tt.want) {
				t.Errorf("ReplaceCommit says %v\nwant …%s", err, tt.want)
			}
		})
	}
}

// TestEventsResyncAfterRestart follows a run across the death of the server.
func TestEventsResyncAfterRestart(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, dial(t, server.URL()), "events")
	ctx, stop := context.WithTimeout(t.Context(), testenv.Patience)
	defer stop()
	events := s.Events(ctx, Steps, Cancellation)
	expect := func(want Event) {
		t.Helper()
		if got := <-events; got != want {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	expect(Event{State: Resync}) // of each topic
	expect(Event{State: Resync})
	if _, _, err := s.Commit(ctx, resultOf("count"), Record{Layer: someLayer}); err != nil {
		t.Fatal(err)
	}
	expect(Event{"count", Committed})
	if err := s.Announce(ctx, Event{"count.7", Failed}); err != nil {
		t.Fatal(err)
	}
	expect(Event{"count.7", Failed})
	server.Kill()
	server.Restart()
	expect(Event{State: Resync})
	expect(Event{State: Resync})
	if err := s.Cancel(ctx, 3); err != nil {
		t.Fatal(err)
	}
	expect(Event{State: Cancelled})
	if term, err := s.CancelledTerm(ctx); err != nil || term != 3 {
		t.Errorf("CancelledTerm is %d, %v", term, err)
	}
	if err := s.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	if term, err := s.CancelledTerm(ctx); err != nil || term != 0 {
		t.Errorf("after Resume, CancelledTerm is %d, %v", term, err)
	}
	stop()
	for range events { // ends with the context
		continue
	}
}

func TestLogKeepsTheEnd(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "log")
	if got, err := s.Log(t.Context(), resultOf("count")); err != nil || got != nil {
		t.Errorf("without output, Log is %q, %v", got, err)
	}
	long := make([]byte, MaxLog+10)
	copy(long[len(long)-3:], "end")
	if err := s.SetLog(t.Context(), resultOf("count"), long); err != nil {
		t.Fatal(err)
	}
	got, err := s.Log(t.Context(), resultOf("count"))
	if err != nil || len(got) != MaxLog || string(got[MaxLog-3:]) != "end" {
		t.Errorf("Log has %d bytes, %v", len(got), err)
	}
}
