package clustertest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Variable returns a variable that the cluster's `env` file sets.
func (c Cluster) Variable(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(c.Kubeconfig), "env"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), "export "+name+"="); found {
			return strings.Trim(value, "'")
		}
	}
	t.Fatalf("the cluster's environment has no %s", name)
	return ""
}

// Program is a process of a cluster that was started with [Another], which a test can kill or suspend.
type Program struct {
	t    testing.TB
	pid  int
	args []string
	log  string

	paused bool
}

// Program finds a running process of the cluster by a part of its command line, for example "kube-apiserver". The arguments are used to start it again;
// without them, those of the running process are used.
func (c Cluster) Program(t testing.TB, name string, args ...string) *Program {
	t.Helper()
	dir := filepath.Dir(c.Kubeconfig)
	links, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		text, err := os.ReadFile(link)
		if err != nil || !bytes.Contains(text, []byte(name)) {
			continue // another program, or it has ended
		}
		if at, _ := os.Readlink(filepath.Join(filepath.Dir(link), "cwd")); !bytes.Contains(text, []byte(dir)) && !strings.HasPrefix(at, dir) {
			continue // a process of another cluster
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			t.Fatal(err)
		}
		if len(args) == 0 {
			args = strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
		}
		return &Program{t: t, pid: pid, args: args, log: filepath.Join(dir, "log", name+"-again.log")}
	}
	t.Fatalf("the cluster in %s has no running %s", dir, name)
	return nil
}

// Kill sends SIGKILL and waits until the process has ended.
func (p *Program) Kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	testenv.AwaitTrue(p.t, p.args[0]+" to end", func() bool { // it is not a child of this process, so it cannot be waited for
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
		return errors.Is(err, os.ErrNotExist) || bytes.Contains(text, []byte(") Z "))
	})
}

// Pause suspends the process with SIGSTOP. Its connections stay open, as in a network failure.
func (p *Program) Pause() {
	p.signal(syscall.SIGSTOP)
	p.paused = true
}

// Recover resumes a suspended process, or starts a killed one again with the same arguments and more. A process that it starts is killed when the test ends.
func (p *Program) Recover(more ...string) {
	p.t.Helper()
	if p.paused {
		p.signal(syscall.SIGCONT)
		p.paused = false
		return
	}
	log, err := os.Create(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close() // the process has its own descriptor
	cmd := exec.Command(p.args[0], slices.Concat(p.args[1:], more)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()
		if text, err := os.ReadFile(p.log); err == nil && p.t.Failed() {
			p.t.Logf("log of %s:\n%s", p.args[0], text)
		}
	})
}

func (p *Program) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid, sig); err != nil {
		p.t.Fatalf("send %v to %s: %v", sig, p.args[0], err)
	}
}
