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

// process identifies a process. A PID alone may have been reused when it is signalled.
type process struct {
	Name  string `json:"name"`
	Pid   int    `json:"pid"`
	Start string `json:"start"` // in ticks since boot, field 22 of /proc/PID/stat
	Boot  string `json:"boot"`  // the kernel's boot ID: ticks start at 0 at each boot
}

// identify returns the process that has the PID now.
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

// errEnded is returned for a process that has ended, even if its parent has not waited for it yet.
var errEnded = errors.New("process has ended")

// startTime reads field 22 of a /proc/PID/stat line. The program's name in field 2 may contain spaces and parentheses.
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

// alive reports whether this process is running.
func (p process) alive() bool {
	if p.Pid <= 0 {
		return false
	}
	now, err := identify(p.Name, p.Pid)
	return err == nil && now == p
}

func (p process) String() string { return p.Name + " (process " + strconv.Itoa(p.Pid) + ")" }

// The limits of stop: etcd and Redis write their last state, which takes time on a busy disk.
const (
	stopPatience = 10 * time.Second
	killPatience = 20 * time.Second
)

// stopAll stops processes from the last to the first, so that each ends before the ones that it connects to.
func stopAll(ctx context.Context, ps []process) error {
	for i := len(ps) - 1; i >= 0; i-- {
		if err := ps[i].stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the process and waits until it has ended.
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
		return fmt.Errorf("stop %s: it is still running %s after SIGKILL", p, killPatience)
	}
	return nil
}

// program is a long-running program of the cluster.
type program struct {
	name string
	args []string
	env  []string // in addition to the launcher's
	attr syscall.SysProcAttr
	nice int // of the session
}

// spawn starts a program that keeps running after the launcher. Its output is in log/NAME.log.
func (c cluster) spawn(ctx context.Context, p program) (process, error) {
	log := c.path("log", p.name+".log")
	// Keep the previous log, which is needed after a crash.
	if err := os.Rename(log, log+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return process{}, err
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return process{}, err
	}
	defer func() { _ = out.Close() }()
	// In a new session, so that Ctrl-C in the terminal does not reach it.
	p.attr.Setsid = true
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.args[0], p.args[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = c.dir, out, out, &p.attr
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start %s: %w", p.name, err)
	}
	// Wait for the child, so that it does not count as alive after its end.
	go func() { _ = cmd.Wait() }()
	self, err := identify(p.name, cmd.Process.Pid)
	if err != nil {
		return process{}, fmt.Errorf("%s ended immediately: %w%s", p.name, err, lastLines(log))
	}
	return self, nil
}

// lastLines returns the end of a log for an error message, on indented lines.
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
