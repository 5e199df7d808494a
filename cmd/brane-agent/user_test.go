//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// TestTheContainersHaveDifferentUsers checks that a command can read and change its files if its user is not that of the init container, because each is that of
// an image, and that it finds neither the specification nor a file of the agent.
func TestTheContainersHaveDifferentUsers(t *testing.T) {
	testenv.RequireRoot(t, "start a process of another user")
	r := newRun(t, map[string]files.Source{"in/word": {Content: []byte("hello")}})
	p := r.pod("step", nil)
	p.step.InMain = true
	if got := p.stage(); got.code != 0 {
		t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
	}
	for _, directory := range []string{p.mount, p.data} { // with the permissions of an emptyDir
		if err := os.Chmod(directory, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(directory), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := p.main("/bin/sh", "-ec", "cd "+p.data+"; id -u; ls -A "+p.mount+" .; echo ' world' >>in/word; rm -r in; echo done >out")
	asNobody(cmd)
	got := finish(t, cmd)
	if got.code != 0 || !strings.HasPrefix(got.stdout, "65532\n") || strings.Contains(got.stdout, "spec.json") || strings.Contains(got.stdout, "stamps") {
		t.Errorf("ended with %d: %s%s", got.code, got.stdout, got.stderr)
	}
	if content := r.content("step", "out"); content != "done\n" {
		t.Errorf("the output is %q", content)
	}
}
