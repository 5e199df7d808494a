package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Exit codes that shells return for commands that cannot be started.
const (
	exitNotRunnable = 126
	exitNotFound    = 127
	exitSignal      = 128 // plus the signal's number
)

// exitReserved replaces an exit code of the command that is reserved for the agent's.
const exitReserved = 1

// Limits for processes that the command left running: until SIGKILL has ended them, and until they have closed the pipes if it has not.
const (
	killTimeout  = 5 * time.Second
	storeTimeout = 30 * time.Second // instead of killTimeout if the files are stored after that: a process that waits for a disk ends later
	drainTimeout = 2 * time.Second
)

// process is the command of the step and everything that it has started. It has a separate process group.
type process struct {
	pid     int
	ended   chan unix.WaitStatus // of the command itself
	orphans chan struct{}        // closed when no child process is left
	copies  sync.WaitGroup       // of stdout and stderr
	outputs []*os.File           // the read ends of the pipes
}

// disablePtrace prevents the command, which runs as the same user, from reading the memory and files of the agent through /proc and ptrace. It also makes orphaned
// processes children of the agent if the agent is not process 1 of the container.
func disablePtrace() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide the credential from the command: %w", err)
	}
	// An error is ignored: then only processes outside of the process group survive, and only if the agent is not process 1.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	return nil
}

// startProcess starts the command with the environment of the container and env. If that fails, code is what a shell would return.
func startProcess(command, env []string, stdout, stderr io.Writer) (p *process, code int, err error) {
	cmd := exec.Command(command[0], command[1:]...) // the command comes from the step
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // the PATH of the image contains a relative directory
	}
	cmd.Env = append(commandEnvironment(os.Environ()), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p = &process{ended: make(chan unix.WaitStatus, 1), orphans: make(chan struct{})}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close() // the command has its own copies
		}
	}()
	for _, to := range []struct {
		field *io.Writer
		into  io.Writer
	}{{&cmd.Stdout, stdout}, {&cmd.Stderr, stderr}} {
		read, write, err := os.Pipe()
		if err != nil {
			return nil, ExitStageIn, fmt.Errorf("start %q: %w", command[0], err)
		}
		*to.field = write
		theirs = append(theirs, write)
		p.outputs = append(p.outputs, read)
		p.copies.Go(func() { copyOutput(to.into, read) })
	}
	if err := cmd.Start(); err != nil {
		return nil, startCode(err), fmt.Errorf("start %q: %w", command[0], startError(err))
	}
	p.pid = cmd.Process.Pid
	// From here on only reapChildren waits for children; the exec package must not.
	_ = cmd.Process.Release()
	go p.reapChildren()
	return p, 0, nil
}

// startCode returns the exit code of a shell for a command that could not be started.
func startCode(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitNotFound
	}
	return exitNotRunnable
}

// startError adds the likely cause, which the error for a missing interpreter or a wrong architecture does not contain.
func startError(err error) error {
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; it, or the interpreter in its first line, is not in the image", err)
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("%w; it is not built for this processor, or it is a script whose first line names no interpreter", err)
	}
	return err
}

// commandEnvironment returns the environment of the container without the variables of the agent.
func commandEnvironment(all []string) []string {
	var kept []string
	for _, variable := range all {
		name, _, _ := strings.Cut(variable, "=")
		if !slices.Contains(Handed, name) {
			kept = append(kept, variable)
		}
	}
	return kept
}

// copyOutput copies until the pipe is closed. At the deadline for reading it copies what is in the pipe, which includes all that the command has written, however
// long the log takes for it. Writing must not fail, because the command would block on a full pipe.
func copyOutput(to io.Writer, from *os.File) {
	if _, err := io.Copy(to, from); errors.Is(err, os.ErrDeadlineExceeded) {
		_ = from.SetReadDeadline(time.Time{})
		pending, _ := unix.IoctlGetInt(int(from.Fd()), unix.TIOCINQ)
		_, _ = io.CopyN(to, from, int64(pending)) // it does not wait, because nothing else reads from the pipe
	}
}

// reapChildren waits for all children, including orphans, until none is left.
func (p *process) reapChildren() {
	defer close(p.orphans)
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // ECHILD
			return
		case pid == p.pid:
			p.ended <- status
		}
	}
}

// waitForOutput returns the exit code of a command that ended with this status, when everything it started is gone too and all output has arrived. If the files of
// the command are to be stored, a process that is not gone is an error, because it may still write to them.
func (p *process) waitForOutput(ctx context.Context, status unix.WaitStatus, isStored bool) (code int, err error) {
	timeout := killTimeout
	if isStored {
		timeout = storeTimeout
	}
	left := p.killStragglers(ctx, timeout)
	for _, f := range p.outputs {
		_ = f.SetReadDeadline(time.Now().Add(drainTimeout)) // pipes support deadlines
	}
	p.copies.Wait()
	for _, f := range p.outputs {
		_ = f.Close() // all output has been read
	}
	switch {
	case status.Signaled():
		return exitSignal + int(status.Signal()), fmt.Errorf("the command was terminated by signal %d (%s)", status.Signal(), unix.SignalName(status.Signal()))
	case isStored && left != nil:
		return exitCode(left, ExitStageOut), left
	}
	return status.ExitStatus(), nil
}

// killStragglers kills the processes that the command left running, because a process that still writes would make the snapshot inconsistent. It gives up after the
// timeout, or when ctx ends.
func (p *process) killStragglers(ctx context.Context, timeout time.Duration) error {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		p.signalGroup(unix.SIGKILL)
		left := childPIDs()
		for _, pid := range left {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended
		}
		select {
		case <-p.orphans:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%w; %w", context.Cause(ctx), leftError(left))
		case <-deadline.C:
			return leftError(left)
		case <-tick.C:
		}
	}
}

// leftError names the first of the processes that cannot be killed, and its user, who is often the reason.
func leftError(pids []int) error {
	who := "a process"
	for _, pid := range pids {
		proc := "/proc/" + strconv.Itoa(pid)
		name, err := os.ReadFile(proc + "/comm") // of /proc
		var stat unix.Stat_t
		if err == nil && unix.Stat(proc, &stat) == nil {
			who = fmt.Sprintf("process %q of user %d", bytes.TrimSpace(name), stat.Uid)
			break
		}
	}
	return fmt.Errorf("the command left %s running, which cannot be killed and may still write: the files are not stored; let the command wait for it", who)
}

// signalGroup sends a signal to the process group of the command.
func (p *process) signalGroup(number syscall.Signal) {
	_ = unix.Kill(-p.pid, number) // the group may have ended
}

// childPIDs lists the child processes of the agent. Orphans become its children, so killing all children repeatedly ends every process.
func childPIDs() []int {
	var found []int
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	self := strconv.Itoa(os.Getpid())
	for _, name := range stats {
		stat, err := os.ReadFile(name) // of /proc
		if err != nil {
			continue // it has ended in the meantime
		}
		// The name of the process, in parentheses, may contain spaces and parentheses. Its state and its parent follow.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 2 || fields[1] != self {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			found = append(found, pid)
		}
	}
	return found
}
