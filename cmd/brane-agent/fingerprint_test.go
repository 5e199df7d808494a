//go:build linux

package main

import (
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// TestSomeIndexesRun runs the second pod of a Job that runs only some of the indexes of its step.
func TestSomeIndexesRun(t *testing.T) {
	r := newRun(t, nil)
	p := r.pod("fan", nil)
	p.step.Indexed, p.step.Indexes, p.step.Items = true, []int{4, 7}, []string{"of 4", "of 7"}
	p.env = []string{agent.EnvIndex + "=1"}
	if got := p.sh("echo $BRANE_INDEX $JOB_COMPLETION_INDEX $BRANE_ITEM"); got.code != 0 || got.stdout != "7 7 of 7\n" {
		t.Errorf("ended with %d, %q: %s", got.code, got.stdout, got.stderr)
	}
	item := "of 7"
	fingerprint := files.NewFingerprint(agent.IndexConfiguration(p.step.Configuration, 7, &item), p.step.Seen)
	commits, err := r.store.Commits(t.Context(), map[string]files.Fingerprint{"fan.7": fingerprint})
	if err != nil || len(commits) != 1 {
		t.Errorf("there are the commits %v, %v", commits, err)
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
