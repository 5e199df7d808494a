package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestMissing(t *testing.T) {
	there, gone := func() bool { return true }, func() bool { return false }
	got := missing([]debianPackage{{"runc", there}, {"redis-server", gone}, {"iproute2", gone}})
	if want := "[redis-server iproute2]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestWhatIsNoProgramIsNotStatic(t *testing.T) {
	script := filepath.Join(t.TempDir(), "busybox")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{script, filepath.Join(t.TempDir(), "none")} {
		if isStatic(path) {
			t.Errorf("%s passes as a static program", path)
		}
	}
}
