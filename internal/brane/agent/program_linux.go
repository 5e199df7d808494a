package agent

import (
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

// Exit codes of shells for programs that cannot be started.
const (
	exitNotRunnable = 126
	exitNotFound    = 127
	exitSignal      = 128 // plus the signal's number
)

// exitReserved replaces an exit code of the command that is reserved for the agent's.
const exitReserved = 1

// Stragglers get this long to die of SIGKILL, and what they wrote to arrive.
const (
	reapTime  = 5 * time.Second
	drainTime = 2 * time.Second
)

// program is the user's program and all it started. It has a process group of its own.
type program struct {
	pid     int
	ended   chan unix.WaitStatus // of the program itself
	orphans chan struct{}        // closed when no process is left
	copies  sync.WaitGroup       // of the two outputs
	outputs []*os.File           // our ends
}

// hide keeps the program, which runs as the same user, from looking into the agent's memory and files through /proc and ptrace.
// It also makes orphans the agent's children, where the agent is not process 1 of the container.
func hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide the credential from the program: %w", err)
	}
	// Without it, stragglers outside the process group would survive where the agent is not process 1; nothing else is lost.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	return nil
}

// start starts the program, with env beside the container's environment. code is what a shell would return where that is not possible.
func start(command, env []string, stdout, stderr io.Writer) (p *program, code int, err error) {
	cmd := exec.Command(command[0], command[1:]...) // running it is the purpose
	if errors.Is(cmd.Err, exec.ErrDot) {
		cmd.Err = nil // the image's PATH says so
	}
	cmd.Env = append(environment(os.Environ()), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p = &program{ended: make(chan unix.WaitStatus, 1), orphans: make(chan struct{})}
	var theirs []*os.File
	defer func() {
		for _, f := range theirs {
			_ = f.Close() // the program has its own copies
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
	// From here on reap is the only one who waits for children; the exec package must not.
	_ = cmd.Process.Release()
	go p.reap()
	return p, 0, nil
}

func startCode(err error) int {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return exitNotFound
	}
	return exitNotRunnable
}

// startError adds what the bare error of a missing interpreter or a wrong architecture does not say.
func startError(err error) error {
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w; it, or the interpreter in its first line, is not in the image", err)
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("%w; it is no program for this processor, or a script whose first line names no interpreter", err)
	}
	return err
}

// environment is the container's without what is the agent's own.
func environment(all []string) []string {
	var kept []string
	for _, variable := range all {
		name, _, _ := strings.Cut(variable, "=")
		if !slices.Contains(Handed, name) {
			kept = append(kept, variable)
		}
	}
	return kept
}

// copyOutput goes on when the container's log is gone, so that the program does not block on a full pipe.
func copyOutput(to io.Writer, from *os.File) {
	if _, err := io.Copy(to, from); err != nil {
		_, _ = io.Copy(io.Discard, from) // ends with the pipe
	}
}

// reap waits for all children, orphans included, until none is left.
func (p *program) reap() {
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

// finish returns the exit code of a command that ended with this status, when everything it started is gone too and all output has arrived.
func (p *program) finish(status unix.WaitStatus) (code int, err error) {
	err = p.killStragglers()
	for _, f := range p.outputs {
		_ = f.SetReadDeadline(time.Now().Add(drainTime)) // pipes have deadlines
	}
	p.copies.Wait()
	for _, f := range p.outputs {
		_ = f.Close() // all that will come has been read
	}
	if status.Signaled() {
		return exitSignal + int(status.Signal()), errors.Join(fmt.Errorf("the program was ended by signal %d (%s)", status.Signal(), unix.SignalName(status.Signal())), err)
	}
	return status.ExitStatus(), err
}

// killStragglers ends what the program left running: a process that still writes would make every snapshot a guess.
func (p *program) killStragglers() error {
	deadline := time.NewTimer(reapTime)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		p.signal(unix.SIGKILL)
		for _, pid := range children() {
			_ = unix.Kill(pid, unix.SIGKILL) // it may be gone
		}
		select {
		case <-p.orphans:
			return nil
		case <-deadline.C:
			return errors.New("a process that the program left behind cannot be ended; its files may be incomplete")
		case <-tick.C:
		}
	}
}

func (p *program) signal(number syscall.Signal) {
	_ = unix.Kill(-p.pid, number) // the group may be gone
}

// children are the processes whose parent is this one. Orphans come to us, so killing these again and again gets all.
func children() []int {
	var found []int
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil
	}
	self := strconv.Itoa(os.Getpid())
	for _, name := range stats {
		stat, err := os.ReadFile(name) // of /proc
		if err != nil {
			continue // it has ended meanwhile
		}
		// The command's name, in parentheses, may itself have spaces and parentheses. State and parent follow it.
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
