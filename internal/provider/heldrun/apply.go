package heldrun

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/disturb"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Apply is a command of the CLI that is running, mostly an apply.
type Apply struct {
	Out   *bytes.Buffer // the JSON lines that the CLI prints; complete when Ended is closed
	Log   Transcript    // the log of the provider
	Ended chan struct{} // closed when the CLI has ended
	cmd   *exec.Cmd
	err   error // of the CLI
}

// Transcript is a buffer that can be read while it is written.
type Transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *Transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *Transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// StartApply starts an apply.
func StartApply(t *testing.T, c *acctest.CLI) *Apply {
	t.Helper()
	return StartCommand(t, c, "apply", "-auto-approve", "-json")
}

// StartCommand starts a command that prints JSON.
func StartCommand(t *testing.T, c *acctest.CLI, args ...string) *Apply {
	t.Helper()
	a := &Apply{Ended: make(chan struct{})}
	a.cmd, a.Out = c.Command(t.Context(), args...)
	a.cmd.Env, a.cmd.Stderr = append(a.cmd.Env, "TF_LOG_PROVIDER=INFO"), &a.Log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal sends Ctrl-C to the process group
	acctest.NoError(t, a.cmd.Start())
	go func() {
		defer close(a.Ended)
		a.err = a.cmd.Wait()
	}()
	return a
}

// Errors waits for the end of the apply and returns its errors as the CLI prints them.
func (a *Apply) Errors(t *testing.T) string {
	t.Helper()
	select {
	case <-a.Ended:
	case <-time.After(testenv.Patience):
		t.Fatalf("the apply has not ended:\n%s", &a.Log)
	}
	var all []string
	for line := range strings.Lines(a.Out.String()) {
		var said struct {
			Diagnostic struct{ Severity, Summary, Detail string }
		}
		if err := json.Unmarshal([]byte(line), &said); err == nil && said.Diagnostic.Severity == "error" && said.Diagnostic.Detail != "" { // after Ctrl-C the CLI adds "execution halted"
			all = append(all, said.Diagnostic.Summary+"\n"+said.Diagnostic.Detail)
		}
	}
	if (a.err != nil) != (len(all) > 0) {
		t.Fatalf("apply ended with %v:\n%s\n%s", a.err, a.Out, &a.Log)
	}
	return strings.Join(all, "\n\n")
}

// FindProvider returns the process ID of the provider.
func (a *Apply) FindProvider(t *testing.T) int {
	t.Helper()
	pid, err := disturb.FindProvider(a.cmd.Process.Pid)
	acctest.NoError(t, err)
	if pid == 0 {
		t.Fatalf("the CLI has no provider:\n%s", &a.Log)
	}
	return pid
}

// KillProvider sends SIGKILL to the provider.
func (a *Apply) KillProvider(t *testing.T) {
	t.Helper()
	acctest.NoError(t, syscall.Kill(a.FindProvider(t), syscall.SIGKILL))
}

// SuspendProvider suspends the provider's process until it is killed or continued, and returns when it is suspended.
func (a *Apply) SuspendProvider(t *testing.T) {
	t.Helper()
	pid := a.FindProvider(t)
	acctest.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	testenv.AwaitTrue(t, "the provider to stop", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		acctest.NoError(t, err)
		return bytes.Contains(stat, []byte(") T "))
	})
}

// Interrupt sends Ctrl-C to the apply.
func (a *Apply) Interrupt(t *testing.T) {
	t.Helper()
	acctest.NoError(t, syscall.Kill(-a.cmd.Process.Pid, syscall.SIGINT))
}

// AwaitLog waits until the provider logs a text.
func (a *Apply) AwaitLog(t *testing.T, text string) {
	t.Helper()
	testenv.AwaitTrue(t, "the provider to log "+text, func() bool { return strings.Contains(a.Log.String(), text) })
}
