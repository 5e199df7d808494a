package clustertest

import (
	"bytes"
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

// apiServerPatience is how long an API server may take to end, or to answer again, on a busy machine.
const apiServerPatience = 2 * time.Minute

// StopAPIServer kills the API server of a cluster that the test has started with [Another], as a crash would, and returns once it is gone. The function that
// it returns starts it again, and returns once it answers.
func (c Cluster) StopAPIServer(t testing.TB) (start func()) {
	t.Helper()
	pid, command := c.apiServer(t)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill the API server, process %d: %v", pid, err)
	}
	await(t, "the API server to end", func() bool { return !slices.Equal(commandOf(pid), command) })
	return func() {
		t.Helper()
		cmd := exec.Command(command[0], command[1:]...) // no context: it goes on until the cluster ends
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = cmd.Wait() // it is killed below
		}()
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			<-ended
			if t.Failed() {
				t.Logf("the API server said\n%s", &said)
			}
		})
		await(t, "the API server to answer", func() bool {
			return exec.CommandContext(t.Context(), "kubectl", "--kubeconfig", c.Kubeconfig, "get", "--raw", "/readyz").Run() == nil
		})
	}
}

// apiServer is the process of the cluster's API server, and the command line by which it was started: it names files of the cluster's own folder.
func (c Cluster) apiServer(t testing.TB) (pid int, command []string) {
	t.Helper()
	own := "--tls-cert-file=" + filepath.Join(filepath.Dir(c.Kubeconfig), "pki/apiserver.crt")
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue // no process
		}
		if command := commandOf(pid); slices.Contains(command, "kube-apiserver") && slices.Contains(command, own) {
			return pid, command
		}
	}
	t.Fatalf("no API server runs with %s", own)
	return 0, nil
}

// commandOf is a process' command line, nil where there is no such process or it has ended.
func commandOf(pid int) []string {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

func await(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(apiServerPatience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", apiServerPatience, what)
		}
	}
}
