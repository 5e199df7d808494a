//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
)

// TestAFileThatMayNotBeRead checks that the message names a file that the user of the step cannot read, even if that user has created it.
func TestAFileThatMayNotBeRead(t *testing.T) {
	r := newRun(t, nil)
	for name, tt := range map[string]struct{ script, want string }{
		"a small file": {"echo x >closed; chmod 0 closed", `file "closed": open closed: permission denied; make it readable by the user of the step`},
		"a large file": {"head -c 3000000 /dev/zero >closed; chmod 0 closed", `file "closed": open closed: permission denied; make it readable by the user of the step`},
		"a directory":  {"mkdir -p a/closed; echo x >a/closed/x; chmod 0 a/closed", `read directory "a/closed": open closed: permission denied; make it readable by the user of the step`},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.pod("closed", nil)
			if got := p.stage(); got.code != 0 {
				t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
			}
			share(t, p)
			cmd := p.main("/bin/sh", "-c", "cd "+p.data+"\n"+tt.script)
			t.Cleanup(func() { _ = os.Chmod(filepath.Join(p.data, "a/closed"), 0o700) }) // only one case has it; the test's user must be able to remove it
			asNobody(cmd)
			got := finish(t, cmd)
			if got.code != agent.ExitStageOut || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("ended with %d: %s\nwant %s", got.code, got.stderr, tt.want)
			}
			if r.committed("closed") {
				t.Error("it was committed")
			}
		})
	}
}
