package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stat returns a line in the kernel's format.
func stat(name, state, start string) string {
	return "4711 (" + name + ") " + state + " 1 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 9 0 " + start + " 1234 56 18446744073709551615\n"
}

func TestStartTime(t *testing.T) {
	for name, tt := range map[string]struct{ line, start, err string }{
		"a usual line":                      {line: stat("etcd", "S", "12345"), start: "12345"},
		"a name with spaces and ends":       {line: stat("a) S 1 (b", "R", "99"), start: "99"},
		"a process that was not waited for": {line: stat("etcd", "Z", "12345"), err: "process has ended"},
		"a process that is being removed":   {line: stat("etcd", "X", "12345"), err: "process has ended"},
		"an empty file":                     {line: "", err: `not a stat line: ""`},
		"a short line":                      {line: "1 (a) S 1", err: `not a stat line: "1 (a) S 1"`},
	} {
		t.Run(name, func(t *testing.T) {
			start, err := startTime(tt.line)
			if start != tt.start || (err != nil || tt.err != "") && fmt.Sprint(err) != tt.err {
				t.Errorf("got %q, %v\nwant %q, %s", start, err, tt.start, tt.err)
			}
		})
	}
}

// FuzzStartTime checks that the start time is found for any name of a program.
func FuzzStartTime(f *testing.F) {
	for _, name := range []string{"etcd", "", ")", "a) S 1 (b", "Z", "new\nline"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if start, err := startTime(stat(name, "S", "12345")); start != "12345" || err != nil {
			t.Errorf("got %q, %v, want 12345", start, err)
		}
	})
}

func TestAlive(t *testing.T) {
	self, err := thisProcess()
	if err != nil {
		t.Fatal(err)
	}
	other, rebooted := self, self
	other.Start += "0"
	rebooted.Boot = "another"
	for name, tt := range map[string]struct {
		process process
		want    bool
	}{
		"this process":              {self, true},
		"another with the same pid": {other, false},
		"one from before a reboot":  {rebooted, false},
		"none":                      {process{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.process.alive(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestStopUnreapedProcess(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p, err := identify("sleep", cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.stop(t.Context()); err != nil {
		t.Error(err)
	}
	if p.alive() {
		t.Error("a defunct process counts as alive")
	}
	if err := cmd.Wait(); fmt.Sprint(err) != "signal: terminated" {
		t.Errorf("it ended with %v, want SIGTERM", err)
	}
}

func TestStopReusedPID(t *testing.T) {
	p, err := thisProcess()
	if err != nil {
		t.Fatal(err)
	}
	p.Start += "0"
	if err := p.stop(t.Context()); err != nil { // the test itself must not be stopped
		t.Error(err)
	}
}

func TestSpawnKeepsPreviousLog(t *testing.T) {
	c := cluster{dir: t.TempDir(), number: 1}
	if err := os.Mkdir(c.path("log"), 0o700); err != nil {
		t.Fatal(err)
	}
	log := c.path("log/words.log")
	if err := os.WriteFile(log, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := c.spawn(t.Context(), program{name: "words", args: []string{"sh", "-c", "echo $WORD; exec sleep 1000"}, env: []string{"WORD=now"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if b, err := os.ReadFile(log + ".1"); string(b) != "before\n" || err != nil {
		t.Errorf("the previous log is %q, %v", b, err)
	}
	if !p.alive() {
		t.Error("the program is not running")
	}
}

func TestLastLines(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	if got := lastLines(log); got != "" {
		t.Errorf("no log: got %q, want nothing", got)
	}
	text := "1\n2\n3\n4\n5\n6\n" + strings.Repeat("x", 400) + "\n"
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "\n  last lines of " + log + ":\n    3\n    4\n    5\n    6\n    " + strings.Repeat("x", 300) + " …"
	if got := lastLines(log); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
