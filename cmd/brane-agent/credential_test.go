//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestTheProgramFindsTheCredentialNowhere looks where a program of the same user would: environment, arguments, files,
// memory and descriptors of the agent.
func TestTheProgramFindsTheCredentialNowhere(t *testing.T) {
	r := newRun(t, nil)
	p := r.pod("thief", nil)
	if got := p.stage(); got.code != 0 {
		t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
	}
	// The script is a file: its own words must not be what is found in the arguments.
	script := filepath.Join(p.data, "thief.sh")
	if err := os.WriteFile(script, []byte(`
env
tr '\0' ' ' </proc/$PPID/cmdline
grep -r --include='*.json' s3cret $1 2>/dev/null && echo "read specification"
ls $1
cat /proc/self/mounts | grep brane-secret
ls -l /proc/self/fd | grep $1
for f in environ mem maps auxv; do cat /proc/$PPID/$f >/dev/null && echo "read $f"; done
ls /proc/$PPID/fd && echo "read fd"
exit 3`), 0o600); err != nil {
		t.Fatal(err)
	}
	share(t, p)
	cmd := p.command(filepath.Join(p.mount, "brane-agent"), "run", "--", "/bin/sh", script, p.mount)
	asNobody(cmd)
	got := finish(t, cmd)
	if got.code != 3 {
		t.Fatalf("ended with %d: %s%s", got.code, got.stdout, got.stderr)
	}
	for _, found := range []string{"s3cret", "redis://", "spec.json", "stamps", "read "} {
		if strings.Contains(got.stdout, found) {
			t.Errorf("the program found %q:\n%s", found, got.stdout)
		}
	}
}

// nobody is the user of a container that is not root's.
const nobody = 65532

// share gives a pod's folders to nobody. Without root, the tests' own user is as good.
func share(t testing.TB, p *pod) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	for _, folder := range []string{p.mount, p.data} {
		for at := folder; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
			if err := os.Chmod(at, 0o755); err != nil { // a test's own folder
				t.Fatal(err)
			}
		}
		err := filepath.Walk(folder, func(at string, _ os.FileInfo, err error) error {
			if err != nil {
				return err
			}
			return os.Chown(at, nobody, nobody)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func asNobody(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}
