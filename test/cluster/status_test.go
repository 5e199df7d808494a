package main

import (
	"bytes"
	"errors"
	"regexp"
	"testing"
)

var times = regexp.MustCompile(` +[0-9]+\.[0-9]s`)

func TestPlainLinesWithoutATerminal(t *testing.T) {
	var out bytes.Buffer
	st := &status{out: &out}
	if err := st.run("Certificates", func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := st.run("containerd", func() error {
		st.note("the first note is told at once")
		st.note("the next one only after a while")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the step's error", err)
	}
	st.say("next: %s", "make")
	const want = " ✓ Certificates TIME\n … containerd: the first note is told at once\n ✗ containerd TIME\nnext: make\n"
	if got := times.ReplaceAllString(out.String(), " TIME"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
