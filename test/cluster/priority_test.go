package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFavour(t *testing.T) {
	c := cluster{dir: t.TempDir(), number: 1}
	if err := os.Mkdir(c.path("log"), 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := c.spawn(t.Context(), program{name: "sleep", args: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	const niceness = 7 // can be set without privileges
	if err := favour(p.Pid, niceness); err != nil {
		t.Fatal(err)
	}
	// The system call returns 20 minus the niceness, so that it is never negative.
	if got, err := unix.Getpriority(unix.PRIO_PROCESS, p.Pid); 20-got != niceness || err != nil {
		t.Errorf("the process: got niceness %d, %v; want %d", 20-got, err, niceness)
	}
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", p.Pid))
	if errors.Is(err, fs.ErrNotExist) {
		return // a kernel without autogroups
	}
	if want := fmt.Sprintf(" nice %d\n", niceness); !strings.HasSuffix(string(group), want) || err != nil {
		t.Errorf("its session: got %q, %v; want a niceness of %d", group, err, niceness)
	}
}
