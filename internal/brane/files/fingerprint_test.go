package files

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

func TestFingerprint(t *testing.T) {
	configuration, seen := ShortDigest([]byte("abc")), ShortDigest(nil)
	// The first half of what sha256sum prints.
	if configuration != "ba7816bf8f01cfea414140de5dae2223" || seen != "e3b0c44298fc1c149afbf4c8996fb924" {
		t.Errorf("the digests are %s and %s", configuration, seen)
	}
	f := NewFingerprint(configuration, seen)
	if f.Configuration() != configuration || f.Seen() != seen || f.Check() != nil {
		t.Errorf("the parts of %s are %q and %q, %v", f, f.Configuration(), f.Seen(), f.Check())
	}
	if got, want := (ResultKey{"fan.3", f}).String(), "fan.3:"+configuration+"-"+seen; got != want {
		t.Errorf("the key is %q, want %q", got, want)
	}
	for _, wrong := range []Fingerprint{
		"", "-", f + "0", "0" + f, f[1:], f[:64], f + "\n", Fingerprint(strings.ToUpper(string(f))), Fingerprint(configuration), NewFingerprint(seen+"-"+seen, seen),
		Fingerprint(strings.Replace(string(f), "-", ":", 1)), Fingerprint(strings.Replace(string(f), "a", "g", 1)),
	} {
		if wrong.Check() == nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
}

// FuzzFingerprint checks that what is accepted consists of its two parts, and cannot change the meaning of a key in Redis.
func FuzzFingerprint(f *testing.F) {
	f.Add(string(someFingerprint))
	f.Add(string(someFingerprint[:64]) + "-")
	f.Add("-")
	f.Fuzz(func(t *testing.T, text string) {
		fingerprint := Fingerprint(text)
		if fingerprint.Check() != nil {
			return
		}
		if len(text) != 2*FingerprintPart+1 || len(fingerprint.Seen()) != FingerprintPart || strings.Trim(text, "0123456789abcdef-") != "" {
			t.Fatalf("accepted %q", text)
		}
		if again := NewFingerprint(fingerprint.Configuration(), fingerprint.Seen()); again != fingerprint {
			t.Fatalf("the parts of %s are those of %s", fingerprint, again)
		}
	})
}

func TestFingerprintsOfARun(t *testing.T) {
	client, ctx := dial(t, redistest.Start(t).URL()), t.Context()
	s := open(t, client, "prints")
	if got, err := s.Fingerprints(ctx); err != nil || len(got) != 0 {
		t.Errorf("before, they are %v, %v", got, err)
	}
	want := map[string]Fingerprint{"split": NewFingerprint(ShortDigest([]byte("1")), ShortDigest([]byte("2"))), "fan.3": someFingerprint}
	if err := errors.Join(s.SetFingerprints(ctx, want), s.SetFingerprints(ctx, nil)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Fingerprints(ctx); err != nil || !maps.Equal(got, want) {
		t.Errorf("they are %v, %v; want %v", got, err, want)
	}
	if at := client.ExpireTime(ctx, "brane:prints:fingerprints").Val(); time.Unix(0, 0).Add(at).Unix() != s.deadline.Unix() {
		t.Errorf("they expire at %v, want %d", at, s.deadline.Unix())
	}
	if err := s.SetFingerprints(ctx, map[string]Fingerprint{"a": "x"}); fmt.Sprint(err) != `run prints: write the fingerprints of the steps: step a: "x" is not a fingerprint of two times 32 hex digits` {
		t.Errorf("SetFingerprints says %v", err)
	}
	client.HSet(ctx, "brane:prints:fingerprints", "split", "x")
	if _, err := s.Fingerprints(ctx); !errors.Is(err, ErrCorrupt) {
		t.Errorf("of a wrong one, Fingerprints says %v", err)
	}
	if err := s.ResetFingerprints(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Fingerprints(ctx); err != nil || len(got) != 0 {
		t.Errorf("after the reset, they are %v, %v", got, err)
	}
}

// TestResultsOfOneStepAreSeparate checks that nothing of one fingerprint is read with another one.
func TestResultsOfOneStepAreSeparate(t *testing.T) {
	s, ctx := open(t, dial(t, redistest.Start(t).URL()), "separate"), t.Context()
	other := ResultKey{"count", NewFingerprint(someFingerprint.Configuration(), ShortDigest([]byte("other")))}
	_, _, err := s.Commit(ctx, resultOf("count"), Record{Layer: someLayer, Attempt: 1})
	if err := errors.Join(err, s.NoteStart(ctx, resultOf("count"), "pod", time.Now()), s.SetLog(ctx, resultOf("count"), []byte("log")), s.SetFailure(ctx, resultOf("count"), []byte("why"))); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[ResultKey]int{resultOf("count"): 1, other: 0} {
		prints := map[string]Fingerprint{key.Step: key.Fingerprint}
		records, one := s.Commits(ctx, prints)
		starts, two := s.Starts(ctx, prints)
		failures, three := s.Failures(ctx, prints)
		output, four := s.Log(ctx, key)
		if err := errors.Join(one, two, three, four); err != nil || len(records) != want || len(starts) != want || len(failures) != want || len(output) != want*len("log") {
			t.Errorf("%s has %v, %v, %q, %q, %v; want %d of each", key, records, starts, failures, output, err, want)
		}
	}
	if _, won, err := s.Commit(ctx, other, Record{Layer: someLayer, Attempt: 2}); err != nil || !won {
		t.Errorf("the commit of the other result won: %t, %v", won, err)
	}
}

// TestInvalidKeysAreRefused checks each function that takes the key of a result.
func TestInvalidKeysAreRefused(t *testing.T) {
	s, ctx := open(t, dial(t, redistest.Start(t).URL()), "keys"), t.Context()
	for _, key := range []ResultKey{resultOf("a:b"), {Step: "a"}} {
		prints := map[string]Fingerprint{key.Step: key.Fingerprint}
		for what, err := range map[string]error{
			"NoteStart": s.NoteStart(ctx, key, "pod", time.Now()), "SetLog": s.SetLog(ctx, key, nil), "SetFailure": s.SetFailure(ctx, key, nil),
			"Log": errorOf(s.Log(ctx, key)), "Commits": errorOf(s.Commits(ctx, prints)), "Starts": errorOf(s.Starts(ctx, prints)), "Failures": errorOf(s.Failures(ctx, prints)),
			"SetFingerprints": s.SetFingerprints(ctx, prints), "Extend": errorOf(s.NewExtender().Extend(ctx, map[ResultKey]Record{key: {Layer: someLayer}})),
		} {
			if want := key.check(); err == nil || !strings.HasSuffix(err.Error(), want.Error()) || !strings.HasPrefix(err.Error(), "run keys: ") {
				t.Errorf("%s says %v, want %v", what, err, want)
			}
		}
	}
}

func errorOf[T any](_ T, err error) error { return err }

// TestReplaceCommit checks that the new record is read, expires with the run, and is not written if its files are lost.
func TestReplaceCommit(t *testing.T) {
	client, ctx := dial(t, redistest.Start(t).URL()), t.Context()
	s := open(t, client, "replace")
	if _, _, err := s.Commit(ctx, resultOf("count"), Record{Layer: someLayer, Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	layer, err := s.PutTree(ctx, sketch(t, "a=1@count"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ReplaceCommit(ctx, resultOf("count"), Record{Layer: layer, Base: someLayer, Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	records, err := s.Commits(ctx, fingerprintsOf("count"))
	if r := records["count"]; err != nil || r.Layer != layer || r.Base != someLayer || r.V != recordVersion {
		t.Errorf("the record is %+v, %v", r, err)
	}
	if at := client.ExpireTime(ctx, s.resultKey("step", resultOf("count"))).Val(); time.Unix(0, 0).Add(at).Unix() != s.deadline.Unix() {
		t.Errorf("it expires at %v, want %d", at, s.deadline.Unix())
	}
	client.Del(ctx, s.keyOf("c:"+string(layer)))
	if err := s.ReplaceCommit(ctx, resultOf("count"), Record{Layer: layer, Attempt: 2}); !errors.Is(err, ErrLost) {
		t.Errorf("when its list is lost, ReplaceCommit says %v", err)
	}
	if records, err := s.Commits(ctx, fingerprintsOf("count")); err != nil || records["count"].Attempt != 1 {
		t.Errorf("then the record is %+v, %v", records["count"], err)
	}
}
