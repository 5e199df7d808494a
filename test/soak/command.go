package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/disturb"
)

// commandLimit is the limit of each command of the CLI. With all faults repaired after a minute at the latest, none should take that long.
const commandLimit = 8 * time.Minute

// command is a command of the CLI, running or ended.
type command struct {
	args     []string
	process  *exec.Cmd
	output   bytes.Buffer
	isKilled atomic.Bool // its provider was killed
	memory   int         // peak resident memory of the provider in KiB
	files    int         // the maximum number of open files of the provider
}

// newCommand returns a command that runs in a process group, as in a terminal.
func (s *soak) newCommand(ctx context.Context, args ...string) *command {
	c := &command{args: args}
	c.process = exec.CommandContext(ctx, s.options.cli, args...)
	c.process.Dir, c.process.Stdout, c.process.Stderr = s.options.directory, &c.output, &c.output
	c.process.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "KUBE_") || strings.HasPrefix(v, "TF_") || strings.HasPrefix(v, "BRANE_REDIS_")
	})
	c.process.Env = append(c.process.Env, "TF_CLI_CONFIG_FILE="+filepath.Join(s.options.directory, "terraformrc"), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1",
		"TMPDIR="+s.temporary(), "TF_LOG_PROVIDER=INFO", "TF_LOG_PATH="+filepath.Join(s.options.directory, "log", s.label+".log"))
	c.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.process.Cancel = func() error { return syscall.Kill(-c.process.Process.Pid, syscall.SIGINT) }
	c.process.WaitDelay = time.Minute
	return c
}

// wait waits for the end of a command and checks what it prints. The error is nil if the command has succeeded; ok is false if a check failed.
func (c *command) wait(s *soak) (failed, wrong error) {
	ended := make(chan error, 1)
	go func() { ended <- c.process.Wait() }()
	limit, tick := time.NewTimer(commandLimit), time.NewTicker(250*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for {
		select {
		case failed = <-ended:
			return failed, c.check(s)
		case <-tick.C:
			c.sample()
		case <-limit.C:
			_ = syscall.Kill(-c.process.Process.Pid, syscall.SIGQUIT) // prints the goroutines; it may have ended now
			return nil, errors.Join(fmt.Errorf("%s has not ended in %s", c, commandLimit), <-ended, c.check(s))
		}
	}
}

// String returns the command line.
func (c *command) String() string { return strings.Join(c.args, " ") }

// text returns what the command has printed, without frames and line breaks.
func (c *command) text() string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(c.output.String())), " ")
}

// check writes the output to a file, and checks that it has no secret and no sign of a fault in the provider.
func (c *command) check(s *soak) error {
	if err := os.WriteFile(filepath.Join(s.options.directory, "log", s.label+".txt"), c.output.Bytes(), 0o600); err != nil {
		return err
	}
	text := c.text()
	for _, secret := range s.world.secrets() {
		if secret != "" && strings.Contains(text, secret) {
			return fmt.Errorf("%s prints a secret", c)
		}
	}
	signs := []string{"panic:", "inconsistent result after apply", "inconsistent final plan", "This is a bug in the provider", "invalid new value", "goroutine "}
	for _, sign := range signs {
		if strings.Contains(text, sign) {
			return fmt.Errorf("%s prints %q", c, sign)
		}
	}
	if strings.Contains(text, "Plugin did not respond") && !c.isKilled.Load() {
		return fmt.Errorf("the provider of %s has ended", c)
	}
	return nil
}

// provider returns the process ID of the provider; 0 if there is none now.
func (c *command) provider() int {
	pid, err := disturb.FindProvider(c.process.Process.Pid)
	if err != nil {
		return 0
	}
	return pid
}

// sample records the memory and the open files of the provider.
func (c *command) sample() {
	pid := c.provider()
	if pid == 0 {
		return
	}
	memory, files := inspectProcess(pid)
	c.memory, c.files = max(c.memory, memory), max(c.files, files)
}

// inspectProcess returns the peak resident memory of a process in KiB, and the number of its open files; 0 if it has ended.
func inspectProcess(pid int) (memory, files int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &memory); err == nil {
			break
		}
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return memory, 0
	}
	return memory, len(open)
}

// interrupt sends Ctrl-C.
func (c *command) interrupt() error {
	return syscall.Kill(-c.process.Process.Pid, syscall.SIGINT)
}

// killProvider sends SIGKILL to the provider.
func (c *command) killProvider() error {
	pid := c.provider()
	if pid == 0 {
		return errors.New("there is no provider now")
	}
	c.isKilled.Store(true)
	return syscall.Kill(pid, syscall.SIGKILL)
}
