//go:build linux

package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
)

// chatty is a script that writes 110 KiB: the pipe to the log takes 64, and the agent has at most 32, so the rest is in the pipe to the agent when it ends.
const chatty = "for i in $(seq 1050); do echo 'a line of the log, as programs write many of them, or of a progress bar that is updated all the time'; done; "

// runOnBusyNode runs the main container. Nothing reads its output for a while after it has filled the pipe, as on a node whose disk is busy.
func (p *pod) runOnBusyNode(script string) result {
	p.t.Helper()
	if got := p.stage(); got.code != 0 {
		p.t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
	}
	read, write, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	defer read.Close() // it was only read
	cmd, stderr := p.main("sh", "-c", script), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = write, stderr
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		p.t.Fatal(err)
	}
	<-time.After(4 * time.Second) // longer than the agent waits for the output of a process that it could not kill
	stdout, err := io.ReadAll(read)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = cmd.Wait() // the code is what counts
	return result{cmd.ProcessState.ExitCode(), string(stdout), stderr.String()}
}

// TestTheOutputArrivesOnABusyNode checks that the end of the output, which has the reason of a failure, is in the log of the container and in the kept output.
func TestTheOutputArrivesOnABusyNode(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	got := r.pod("busy", nil).runOnBusyNode(chatty + "echo the reason; exit 3")
	if got.code != 3 || !strings.HasSuffix(got.stdout, "\nthe reason\n") {
		t.Errorf("ended with %d, and the log ends with %q: %s", got.code, got.stdout[max(0, len(got.stdout)-20):], got.stderr)
	}
	if kept := r.log("busy"); !strings.HasSuffix(kept, "\nthe reason\n") {
		t.Errorf("the kept output ends with %q", kept[max(0, len(kept)-20):])
	}
}

// TestAResultArrivesOnABusyNode checks the same for a package, whose result is in the last line.
func TestAResultArrivesOnABusyNode(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	p := r.pod("busy", nil)
	p.step.Brane = branelet.V2
	if got := p.runOnBusyNode(chatty + "echo ImhlbGxvIg=="); got.code != 0 {
		t.Fatalf("ended with %d: %s", got.code, got.stderr)
	}
	if record, _ := r.commit("busy"); string(record.Result) != `"hello"` {
		t.Errorf("the result is %s", record.Result)
	}
}

// TestAResultArrivesWithoutALog checks that a result is found, and the output kept, if nothing can be written to the log of the container.
func TestAResultArrivesWithoutALog(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	p := r.pod("alone", nil)
	p.step.Brane = branelet.V2
	if got := p.stage(); got.code != 0 {
		t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	cmd, stderr := p.main("sh", "-c", "echo a line; sleep 0.2; echo another line; sleep 0.2; echo ImhlbGxvIg=="), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = write, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("ended with %d: %s", code, stderr)
	}
	if record, _ := r.commit("alone"); string(record.Result) != `"hello"` {
		t.Errorf("the result is %s", record.Result)
	}
	if kept, want := r.log("alone"), "a line\nanother line\nImhlbGxvIg==\n"; kept != want {
		t.Errorf("the kept output is %q, want %q", kept, want)
	}
}
