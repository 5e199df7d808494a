//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// The test binary is a program with the setuid bit, such as sudo, if this is its first argument.
const asStraggler = "straggle"

// straggle becomes root, so that the agent cannot kill it, and writes numbers to a file for a time.
func straggle(name, duration string) {
	limit, err := time.ParseDuration(duration)
	if err == nil {
		err = syscall.Setuid(0)
	}
	for began, i := time.Now(), 0; err == nil && time.Since(began) < limit; i++ {
		err = os.WriteFile(name, fmt.Append(nil, i), 0o644)
		fmt.Println(i) // to the pipe of the command
		time.Sleep(100 * time.Millisecond)
	}
	if err == nil {
		err = os.WriteFile(name, []byte("done"), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// TestAProcessThatCannotBeKilled checks that nothing is stored while a process that the command left running still writes, and that a process that ends is waited for.
func TestAProcessThatCannotBeKilled(t *testing.T) {
	testenv.RequireRoot(t, "run a program with the setuid bit")
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const left = `brane: step "step": the command left process "tool" of user 0 running, which cannot be killed and may still write: the files are not stored; let the command wait for it` + "\n"
	for name, tt := range map[string]struct {
		writes string        // for how long
		stop   time.Duration // when the command has ended, which takes less than a second
		exit   string        // the exit code of the command
		code   int
		says   string
	}{
		"it ends":                                {writes: "8s", exit: "0"},
		"it does not end":                        {writes: "60s", exit: "0", code: agent.ExitStageOut, says: left},
		"it does not end, and a stop":            {writes: "60s", exit: "0", stop: 5 * time.Second, code: agent.ExitStopped, says: "the container received SIGTERM; the command left process"},
		"it does not end, and the command fails": {writes: "20s", exit: "7", code: 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, nil)
			p := r.pod("step", nil)
			p.step.Brane, p.step.Stop = branelet.V2, 2
			if got := p.stage(); got.code != 0 {
				t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
			}
			tool := filepath.Join(p.data, "tool")
			if err := copyFile(tool, self); err != nil {
				t.Fatal(err)
			}
			share(t, p)
			if err := os.Chown(tool, 0, 0); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(tool, 0o755|os.ModeSetuid); err != nil {
				t.Fatal(err)
			}
			cmd := p.main("/bin/sh", "-c", fmt.Sprintf("cd %s; ./tool %s counter %s & echo $! >pid; until test -s counter; do sleep 0.1; done; echo ImhlbGxvIg==; exit %s", p.data, asStraggler, tt.writes, tt.exit))
			if p.alone { // nobody cannot run that of the test
				cmd.Path = filepath.Join(p.mount, "brane-agent")
				if err := copyFile(cmd.Path, self); err != nil {
					t.Fatal(err)
				}
			}
			asNobody(cmd)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if tt.stop > 0 {
				time.AfterFunc(tt.stop, func() { _ = cmd.Process.Signal(syscall.SIGTERM) }) // the code shows whether it arrived
			}
			_ = cmd.Wait() // the code is what counts
			code, says := cmd.ProcessState.ExitCode(), stderr.String()
			if code != tt.code || !strings.Contains(says, tt.says) || tt.says == "" && says != "" {
				t.Errorf("ended with %d: %s", code, says)
			}
			record, isCommitted := r.commit("step")
			switch {
			case isCommitted != (tt.code == 0):
				t.Errorf("committed: %v", isCommitted)
			case isCommitted && (r.content("step", "counter") != "done" || string(record.Result) != `"hello"`):
				t.Errorf("the file contains %q, and the result is %s", r.content("step", "counter"), record.Result)
			}
			endStraggler(t, filepath.Join(p.data, "pid"))
		})
	}
}

// endStraggler kills a process of the test, which would write to a directory that is removed.
func endStraggler(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		t.Fatal(err)
	}
	if program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && strings.HasPrefix(program, filepath.Dir(name)) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}
