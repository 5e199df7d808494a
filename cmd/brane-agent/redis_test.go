//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// gate returns a named pipe on which a command waits until open is called.
func gate(t testing.TB) (path string, open func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // the test's own pipe
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAStepSurvivesRedisThatDiesWhileItRuns(t *testing.T) {
	r := newRun(t, nil, "--appendonly", "yes", "--appendfsync", "always")
	path, open := gate(t)
	p := r.pod("survivor", nil)
	cmd, stderr := p.begin("echo ready; cat " + path + "; echo result >out")
	r.server.Kill()
	open()
	r.server.Restart()
	_ = cmd.Wait() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("ended with %d: %s", code, stderr)
	}
	if got := r.content("survivor", "out"); got != "result\n" {
		t.Errorf("it left %q", got)
	}
}

// TestAStepSurvivesAPauseOfRedis has a pause that is shorter than the read timeout (20 s). In the long test commands fail and are retried.
func TestAStepSurvivesAPauseOfRedis(t *testing.T) { survivesAPause(t, 5*time.Second) }

// survivesAPause runs a step whose Redis is paused while it stages in, and again while it stages out.
func survivesAPause(t *testing.T, pause time.Duration) {
	t.Helper()
	r := newRun(t, map[string]files.Source{"in": {Content: bytes.Repeat([]byte("0123456789"), 300_000)}})
	path, open := gate(t)
	p := r.pod("patient", nil)
	stand := func() (again func()) {
		r.server.Pause()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			<-time.After(pause)
			r.server.Continue()
		}()
		return func() { <-ended }
	}
	began := time.Now()
	again := stand()
	cmd, stderr := p.begin("echo ready; cat " + path + "; cat in in >out")
	if took := time.Since(began); took < pause {
		t.Errorf("it had staged in after %s, while Redis was paused", took)
	}
	again()
	began = time.Now()
	again = stand()
	open()
	_ = cmd.Wait() // the code is what counts
	if took := time.Since(began); took < pause {
		t.Errorf("it had staged out after %s, while Redis was paused", took)
	}
	again()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("ended with %d: %s", code, stderr)
	}
	if got := r.content("patient", "out"); got != strings.Repeat("0123456789", 600_000) {
		t.Errorf("it left %d bytes", len(got))
	}
}

// TestAStepWhoseRedisIsGoneForGoodPublishesNothing kills Redis in the middle of storing, with some of the files on its disk.
func TestAStepWhoseRedisIsGoneForGoodPublishesNothing(t *testing.T) {
	r := newRun(t, nil, "--appendonly", "yes", "--appendfsync", "always")
	client := r.server.Client()
	chunks := func() int { return len(client.Keys(t.Context(), "brane:"+r.id+":c:*").Val()) }
	// The agent is held when it has sent half of its files.
	var passed atomic.Int64
	half, held, release := int64(30_000_000), make(chan struct{}), make(chan struct{})
	reached := sync.OnceFunc(func() { close(held) })
	proxy := redistest.StartProxy(t, "127.0.0.1", r.server, func(data []byte) {
		if passed.Add(int64(len(data))) > half {
			reached()
			<-release
		}
	})
	path, open := gate(t)
	p := r.pod("lost", nil)
	p.writeSecret(strings.Replace(r.server.URL(), r.server.Addr(), proxy.Addr(), 1))
	p.step.Patience = 1
	cmd, stderr := p.begin("head -c 60000000 /dev/urandom >out; echo ready; cat " + path)
	before := chunks()
	open()
	<-held
	r.server.Kill()
	proxy.Close()
	close(release)
	_ = cmd.Wait() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != agent.ExitStageOut {
		t.Errorf("ended with %d: %s", code, stderr)
	}
	for _, want := range []string{`brane: step "lost": store the files of`, "redis cannot be reached", "; check that pods reach redis.pod_url (address, NetworkPolicy, TLS)"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("it said %s, not %s", stderr, want)
		}
	}
	if strings.Contains(stderr.String(), "s3cret") {
		t.Errorf("it said the password: %s", stderr)
	}
	r.server.Restart()
	if n := chunks(); n < before+2 {
		t.Errorf("%d chunks are on its disk, and %d before the step ended", n, before)
	}
	if r.committed("lost") {
		t.Error("it was committed")
	}
}

func TestAFullRedisPublishesNothing(t *testing.T) {
	r := newRun(t, nil, "--maxmemory", "8mb", "--maxmemory-policy", "noeviction")
	got := r.pod("large", nil).sh("head -c 20000000 /dev/urandom >large")
	if got.code != agent.ExitStageOut || !strings.Contains(got.stderr, "redis has no memory left: OOM") ||
		!strings.Contains(got.stderr, "; give Redis more memory (maxmemory), or let the step write less") {
		t.Errorf("ended with %d: %s", got.code, got.stderr)
	}
	if r.committed("large") {
		t.Error("it was committed")
	}
}

// TestThePermissionsOfTheGuideAreEnough runs a step as a user with the permissions that the guide lists, and checks that it reaches no other run.
func TestThePermissionsOfTheGuideAreEnough(t *testing.T) {
	text, err := os.ReadFile("../../templates/guides/format.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := regexp.MustCompile("~brane:<run>:.*").FindString(string(text))
	if rules == "" {
		t.Fatal("the guide lists no permissions for the agent")
	}
	r := newRun(t, nil)
	user := append([]string{"on", ">n0ther", "resetchannels"}, strings.Fields(strings.ReplaceAll(rules, "<run>", r.id))...)
	if err := r.server.Client().ACLSetUser(t.Context(), "agent", user...).Err(); err != nil {
		t.Fatal(err)
	}
	url := "redis://agent:n0ther@" + r.server.Addr()
	p := r.pod("limited", nil)
	r.fanOut(p, "0", "x")
	p.writeSecret(url)
	if got := p.sh("echo $BRANE_ITEM >out"); got.code != 0 || r.content("limited.0", "out") != "x\n" {
		t.Errorf("ended with %d: %s", got.code, got.stderr)
	}
	if starts, err := r.store.Starts(t.Context(), r.fingerprints([]string{"limited.0"})); err != nil || starts["limited.0"] != 1 {
		t.Errorf("of its program %d starts are noted, %v", starts["limited.0"], err)
	}
	r.id = "test-2"
	p = r.pod("elsewhere", nil)
	p.writeSecret(url)
	got := p.staged()
	if got.code != agent.ExitStageIn || !strings.Contains(got.stderr, "the redis user lacks a permission: NOPERM") || !strings.Contains(got.stderr, "give the Redis user the permissions") {
		t.Errorf("in another run, it ended with %d: %s", got.code, got.stderr)
	}
}

// TestAStepWhoseUserIsRemovedWhileItRuns checks that the agent retries until the user is created again, and publishes nothing if it is not.
func TestAStepWhoseUserIsRemovedWhileItRuns(t *testing.T) {
	for name, tt := range map[string]struct {
		again bool
		code  int
	}{
		"and made again":   {true, 0},
		"and not any more": {false, agent.ExitStageOut},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t, nil)
			user, err := r.store.GrantUser(t.Context(), "0wn")
			if err != nil {
				t.Fatal(err)
			}
			p := r.pod("removed", nil)
			p.writeSecret("redis://" + user + ":0wn@" + r.server.Addr())
			if !tt.again {
				p.step.Patience = 1
			}
			path, open := gate(t)
			cmd, stderr := p.begin("echo ready; cat " + path + "; echo result >out")
			if err := r.server.Client().ACLDelUser(t.Context(), user).Err(); err != nil {
				t.Fatal(err)
			}
			open()
			if tt.again {
				refused(t, r)
				if again, err := r.store.KeepUser(t.Context()); !again || err != nil {
					t.Fatalf("the user was made again: %v, %v", again, err)
				}
			}
			_ = cmd.Wait() // the code is what counts
			if code := cmd.ProcessState.ExitCode(); code != tt.code || r.committed("removed") != tt.again {
				t.Errorf("ended with %d, committed: %v: %s", code, r.committed("removed"), stderr)
			}
			if !tt.again && !strings.Contains(stderr.String(), "redis refuses the user name or password") {
				t.Errorf("it said %s", stderr)
			}
			if strings.Contains(stderr.String(), "0wn") {
				t.Errorf("it said the password: %s", stderr)
			}
		})
	}
}

// refused returns when the server has refused several requests: of the subscription, and of storing the files.
func refused(t *testing.T, r *run) {
	t.Helper()
	client := r.server.Client()
	testenv.Await(t, "the server to refuse the agent six times", func(ctx context.Context) (bool, error) {
		entries, err := client.ACLLog(ctx, 10).Result()
		times := int64(0)
		for _, entry := range entries {
			times += entry.Count
		}
		return times > 5, err
	})
}

// TestThePingComesFirst checks that the first command shows whether the server accepts the agent.
func TestThePingComesFirst(t *testing.T) {
	r := newRun(t, nil)
	p := r.pod("first", nil)
	// Not the Monitor of the client, which does not work with this server.
	monitor, err := net.Dial("tcp", r.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer monitor.Close() // it only listens
	if err := monitor.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(monitor, "AUTH s3cret\r\nMONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	heard := bufio.NewScanner(monitor)
	for range 2 { // an OK for each
		if !heard.Scan() || heard.Text() != "+OK" {
			t.Fatalf("the server says %q, %v", heard.Text(), heard.Err())
		}
	}
	type container struct {
		name string
		run  func() result
	}
	containers := []container{{"run", func() result { return p.run("true") }}}
	if !p.alone {
		containers = append([]container{{"stage", p.stage}}, containers...)
	}
	for _, container := range containers {
		if got := container.run(); got.code != 0 {
			t.Fatalf("%s ended with %d: %s", container.name, got.code, got.stderr)
		}
		if err := r.server.Client().Echo(t.Context(), "that was "+container.name).Err(); err != nil {
			t.Fatal(err)
		}
		var commands []string
		for heard.Scan() && !strings.Contains(heard.Text(), "that was "+container.name) {
			if parts := strings.SplitN(heard.Text(), "\"", 3); len(parts) == 3 && parts[1] != "hello" && parts[1] != "auth" && parts[1] != "select" {
				commands = append(commands, parts[1])
			}
		}
		if len(commands) < 2 || commands[0] != "ping" {
			t.Errorf("%s sent %q", container.name, commands)
		}
	}
}
