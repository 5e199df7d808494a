package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process names one process for good. A pid alone may be someone else's by the time it is signalled.
type process struct {
	Name  string `json:"name"`
	Pid   int    `json:"pid"`
	Start string `json:"start"` // in ticks since boot, field 22 of /proc/PID/stat
	Boot  string `json:"boot"`  // the kernel's boot id: ticks begin anew with each
}

// identify gives the process that has the pid now.
func identify(name string, pid int) (process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	start, err := startTime(string(stat))
	if err != nil {
		return process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return process{}, err
	}
	return process{Name: name, Pid: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, nil
}

func thisProcess() (process, error) { return identify("launcher", os.Getpid()) }

// errEnded says that the process has ended, though its parent has not collected it yet.
var errEnded = errors.New("process has ended")

// startTime reads field 22 of a /proc/PID/stat line. The program's name in field 2 may hold spaces and brackets.
func startTime(stat string) (string, error) {
	_, rest, ok := cutLast(stat, ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return "", fmt.Errorf("not a stat line: %q", stat)
	}
	if state := fields[0]; state == "Z" || state == "X" {
		return "", errEnded
	}
	return fields[19], nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// alive is true while this very process runs.
func (p process) alive() bool {
	if p.Pid <= 0 {
		return false
	}
	now, err := identify(p.Name, p.Pid)
	return err == nil && now == p
}

func (p process) String() string { return p.Name + " (process " + strconv.Itoa(p.Pid) + ")" }

// The patience of stop: etcd and Redis write their last state, which a busy disk may slow down.
const (
	stopPatience = 10 * time.Second
	killPatience = 20 * time.Second
)

// stopAll ends processes from the last to the first, so that each ends before what it talks to.
func stopAll(ctx context.Context, ps []process) error {
	for i := len(ps) - 1; i >= 0; i-- {
		if err := ps[i].stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the process and returns once it is gone.
func (p process) stop(ctx context.Context) error {
	for _, try := range []struct {
		signal   syscall.Signal
		patience time.Duration
	}{{syscall.SIGTERM, stopPatience}, {syscall.SIGKILL, killPatience}} {
		if !p.alive() {
			return nil
		}
		if err := syscall.Kill(p.Pid, try.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop %s: %w", p, err)
		}
		for end := time.Now().Add(try.patience); p.alive() && time.Now().Before(end); {
			select {
			case <-ctx.Done():
				return fmt.Errorf("stop %s: %w", p, context.Cause(ctx))
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if p.alive() {
		return fmt.Errorf("stop %s: it is still there %s after SIGKILL", p, killPatience)
	}
	return nil
}

// program is one of the cluster's long-lived programs.
type program struct {
	name string
	args []string
	env  []string // more than the launcher's own
	attr syscall.SysProcAttr
	nice int // of the whole session
}

// spawn starts a program that outlives the launcher, its output in log/NAME.log.
func (c cluster) spawn(ctx context.Context, p program) (process, error) {
	log := c.path("log", p.name+".log")
	// The log of the start before is what one wants to read after a crash.
	if err := os.Rename(log, log+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return process{}, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return process{}, err
	}
	defer func() { _ = out.Close() }()
	// A session of its own: Ctrl-C in the terminal of a later command must not reach it.
	p.attr.Setsid = true
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.args[0], p.args[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = c.dir, out, out, &p.attr
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start %s: %w", p.name, err)
	}
	// A child that ends while the launcher waits for it must not look alive.
	go func() { _ = cmd.Wait() }()
	self, err := identify(p.name, cmd.Process.Pid)
	if err != nil {
		return process{}, fmt.Errorf("%s ended at once: %w%s", p.name, err, lastLines(log))
	}
	return self, nil
}

// lastLines gives the end of a log for an error message, indented on lines of its own.
func lastLines(log string) string {
	const lines, width = 5, 300
	b, err := os.ReadFile(log)
	if err != nil || len(b) == 0 {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	text := "\n  last lines of " + log + ":"
	for _, line := range all[max(0, len(all)-lines):] {
		if len(line) > width {
			line = strings.ToValidUTF8(line[:width], "") + " …"
		}
		text += "\n    " + line
	}
	return text
}
