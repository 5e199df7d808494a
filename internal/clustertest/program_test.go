package clustertest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// TestProgram suspends, resumes, kills and restarts a process that sleeps.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(filepath.Join(dir, "log"), 0o755))
	cmd := exec.Command("sleep", "123456")
	cmd.Dir = dir
	must(cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the test kills it
		close(ended)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill() })

	p := Cluster{Kubeconfig: filepath.Join(dir, "kubeconfig")}.Program(t, "sleep")
	if p.pid != cmd.Process.Pid || strings.Join(p.args, " ") != "sleep 123456" {
		t.Fatalf("found process %d, %q", p.pid, p.args)
	}
	is := func(state string) func() bool {
		return func() bool {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
			return err == nil && strings.Contains(string(text), ") "+state+" ")
		}
	}
	p.Pause()
	testenv.AwaitTrue(t, "the process to stop", is("T"))
	p.Recover()
	testenv.AwaitTrue(t, "the process to continue", is("S"))
	p.Kill()
	<-ended
	p.Recover()
	if p.pid == cmd.Process.Pid {
		t.Error("the process was not started again")
	}
	testenv.AwaitTrue(t, "the process to sleep", is("S"))
}

func TestVariable(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "env"), []byte("# a comment\nexport A='one two'\nexport B=three\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Cluster{Kubeconfig: filepath.Join(dir, "kubeconfig")}
	if a, b := c.Variable(t, "A"), c.Variable(t, "B"); a != "one two" || b != "three" {
		t.Errorf("A is %q, B is %q", a, b)
	}
}
