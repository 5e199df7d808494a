//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// TestSomeIndexesRun runs the second pod of a Job that runs only some of the indexes of its step.
func TestSomeIndexesRun(t *testing.T) {
	r := newRun(t, nil)
	p := r.pod("fan", nil)
	r.fanOut(p, "1", "of 0", "of 1", "of 2", "of 3", "of 4", "of 5", "of 6", "of 7")
	p.step.Indexes = agent.NewIndexSet([]int{4, 7})
	if got := p.sh("echo $BRANE_INDEX $JOB_COMPLETION_INDEX $BRANE_ITEM"); got.code != 0 || got.stdout != "7 7 of 7\n" {
		t.Errorf("ended with %d, %q: %s", got.code, got.stdout, got.stderr)
	}
	if !r.committed("fan.7") {
		t.Error("the index is not committed")
	}
}

// TestAnIndexNeedsItsItem checks that the command of an index does not start if its item is not in Redis, and that nothing is stored then.
func TestAnIndexNeedsItsItem(t *testing.T) {
	r := newRun(t, nil)
	p := r.pod("fan", nil)
	r.fanOut(p, "1", "a", "b")
	if err := r.server.Client().HDel(t.Context(), "brane:"+r.id+":items:"+p.step.Items, "1").Err(); err != nil {
		t.Fatal(err)
	}
	before := r.server.Client().DBSize(t.Context()).Val()
	got := p.staged()
	const want = "run test-1: read item 1: it is not in redis any more; files of this run are lost: apply again"
	if got.code != agent.ExitStageIn || !strings.Contains(got.stderr, `brane: step "fan.1": `+want) {
		t.Errorf("ended with %d: %s", got.code, got.stderr)
	}
	if after := r.server.Client().DBSize(t.Context()).Val(); after != before {
		t.Errorf("redis has %d keys, before %d", after, before)
	}
}

// TestEachFingerprintHasItsCommit checks that a step runs again if its configuration or what it sees is another one, and that the commit says with what
// it started and what it left.
func TestEachFingerprintHasItsCommit(t *testing.T) {
	r := newRun(t, map[string]files.Source{"in": {Content: []byte("x")}})
	for name, change := range map[string]func(p *pod){
		"first":                 func(*pod) {},
		"another configuration": func(p *pod) { p.step.Configuration = files.ShortDigest([]byte("another")) },
		"other files":           func(p *pod) { p.step.Seen = files.ShortDigest([]byte("others")) },
	} {
		p := r.pod("step", nil)
		change(p)
		if got := p.sh("echo ran; echo " + name + " >out"); got.code != 0 || got.stdout != "ran\n" {
			t.Errorf("%s: ended with %d, %q: %s", name, got.code, got.stdout, got.stderr)
		}
		if got := r.content("step", "out"); got != name+"\n" {
			t.Errorf("%s: the file is %q", name, got)
		}
		record, _ := r.commit("step")
		content, err := r.store.DigestView(t.Context(), record.Layer, nil)
		if err != nil || record.Base != p.step.Layer || record.Content != content {
			t.Errorf("%s: the record is %+v, %v", name, record, err)
		}
	}
}
