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
	"time"
)

// Variable is one of the environment that the cluster's own `env` file sets.
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

// Program is one program of a cluster that a test has started for itself, for tests of what happens when it dies.
type Program struct {
	t    testing.TB
	pid  int
	args []string
	log  string

	paused bool
}

// Program finds a running program of the cluster by a part of its command line, for example "kube-apiserver". The arguments are those that it is started
// with again, where its command line does not say them any more.
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
			continue // another program, or gone
		}
		if at, _ := os.Readlink(filepath.Join(filepath.Dir(link), "cwd")); !bytes.Contains(text, []byte(dir)) && !strings.HasPrefix(at, dir) {
			continue // another cluster's
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
	t.Fatalf("no %s of the cluster in %s runs", name, dir)
	return nil
}

// Kill ends it as a power cut would, and waits until it is gone.
func (p *Program) Kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	await(p.t, p.args[0]+" to end", func() bool { // it is not our child: nothing else tells of its end
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
		return errors.Is(err, os.ErrNotExist) || bytes.Contains(text, []byte(") Z "))
	})
}

// Pause stops it without closing its connections, as a cut network does.
func (p *Program) Pause() {
	p.signal(syscall.SIGSTOP)
	p.paused = true
}

// Recover ends a Pause, or starts a killed program again with the same arguments and more; that ends with the test.
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
	defer log.Close() // the program has it
	cmd := exec.Command(p.args[0], slices.Concat(p.args[1:], more)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()
		if text, err := os.ReadFile(p.log); err == nil && p.t.Failed() {
			p.t.Logf("%s said\n%s", p.args[0], text)
		}
	})
}

func (p *Program) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := syscall.Kill(p.pid, sig); err != nil {
		p.t.Fatalf("send %v to %s: %v", sig, p.args[0], err)
	}
}

// patience is how long a program may take to end, or to answer again, on a busy machine.
const patience = 2 * time.Minute

func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}
