//go:build linux

package main

import (
	"bytes"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// stops returns a script that writes half of its result, and exits with a code on a signal.
func stops(signal, code string) string {
	return "trap 'exit " + code + "' " + signal + "; echo half >out; echo ready; while :; do sleep 0.1; done"
}

// TestAStoppedCommandIsNotCommitted checks that the container exits with the code of a stop, whatever the command returns, because only a command that ends by
// itself has written its result.
func TestAStoppedCommandIsNotCommitted(t *testing.T) {
	t.Parallel()
	signal := func(signals ...syscall.Signal) func(*run, *exec.Cmd) error {
		return func(_ *run, cmd *exec.Cmd) error {
			for _, number := range signals {
				if err := cmd.Process.Signal(number); err != nil {
					return err
				}
			}
			return nil
		}
	}
	cancel := func(r *run, _ *exec.Cmd) error { return r.store.Cancel(r.t.Context(), 1) }
	for name, tt := range map[string]struct {
		script  string
		request func(*run, *exec.Cmd) error
		code    int
		says    string // the end of the agent's messages
	}{
		"SIGTERM, and it exits with 0": {stops("TERM", "0"), signal(syscall.SIGTERM), agent.ExitStopped,
			"the container received SIGTERM before the command had ended; it exited with code 0, and its files are not stored\n"},
		"SIGTERM, and it exits with another code": {stops("TERM", "7"), signal(syscall.SIGTERM), agent.ExitStopped,
			"the container received SIGTERM before the command had ended; it exited with code 7, and its files are not stored\n"},
		"SIGTERM, and it does not handle it": {"echo half >out; echo ready; exec sleep 60", signal(syscall.SIGTERM), agent.ExitStopped,
			"the container received SIGTERM before the command had ended; it exited with code 143, and its files are not stored\n"},
		"SIGTERM to a shell that waits for a child": {"echo half >out; echo ready; sleep 60; exit 0", signal(syscall.SIGTERM), agent.ExitStopped,
			"the container received SIGTERM before the command had ended; it exited with code 143, and its files are not stored\n"},
		"SIGTERM, which it ignores": {"trap '' TERM; echo half >out; echo ready; exec sleep 20", signal(syscall.SIGTERM), agent.ExitStopped,
			"the container received SIGTERM before the command had ended; it exited with code 137, and its files are not stored\n"},
		"SIGINT": {stops("INT", "0"), signal(syscall.SIGINT), agent.ExitStopped,
			"the container received SIGINT before the command had ended; it exited with code 0, and its files are not stored\n"},
		"SIGQUIT, the STOPSIGNAL of some images": {stops("QUIT", "0"), signal(syscall.SIGQUIT), agent.ExitStopped,
			"the container received SIGQUIT before the command had ended; it exited with code 0, and its files are not stored\n"},
		"the cancellation of the run": {stops("TERM", "0"), cancel, agent.ExitCancelled,
			"the run was cancelled before the command had ended; it exited with code 0, and its files are not stored\n"},
		"a signal and then the cancellation of the run": {
			"n=0 rest=30; trap 'n=$((n + 1))' TERM; echo half >out; echo ready; while test $n -lt 2 -a $rest -gt 0; do sleep 0.1; rest=$((rest - n)); done",
			func(r *run, cmd *exec.Cmd) error {
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					return err
				}
				return cancel(r, cmd)
			}, agent.ExitCancelled, "the run was cancelled before the command had ended; it exited with code 0, and its files are not stored\n"},

		"SIGHUP, which asks for something else": {stops("HUP", "0"), signal(syscall.SIGHUP), 0, ""},
		"SIGUSR1":                               {stops("USR1", "0"), signal(syscall.SIGUSR1), 0, ""},
		"SIGUSR2":                               {stops("USR2", "0"), signal(syscall.SIGUSR2), 0, ""},
		"SIGWINCH":                              {stops("WINCH", "0"), signal(syscall.SIGWINCH), 0, ""},
		"SIGWINCH, and then SIGTERM": {stops("TERM", "0"), signal(syscall.SIGWINCH, syscall.SIGTERM), agent.ExitStopped,
			"the container received SIGTERM before the command had ended; it exited with code 0, and its files are not stored\n"},
		"a signal of its own": {"echo ready; (trap 'exit 0' TERM; while :; do sleep 0.1; done) & kill $!; wait $!; exit 0", func(*run, *exec.Cmd) error { return nil }, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, nil)
			p := r.pod("step", nil)
			p.step.Stop = 12 // less than the default, and than a command that ignores the signal runs
			cmd, stderr := p.begin(tt.script)
			if err := tt.request(r, cmd); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the code is what counts
			if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.HasSuffix(stderr.String(), tt.says) {
				t.Errorf("the container exited with %d, not %d: %s\nwhich does not end with %s", code, tt.code, stderr, tt.says)
			}
			if got := r.committed("step"); got != (tt.code == 0) {
				t.Errorf("committed: %v", got)
			}
			if words := p.lastWords(); agent.IsMessage(words) != (tt.code != 0) {
				t.Errorf("the termination message is %q", words)
			}
			if log := r.log("step"); !strings.Contains(log, "ready\n") || !strings.HasSuffix(log, tt.says) {
				t.Errorf("the kept output is %q", log)
			}
		})
	}
}

// TestACommandsOwnExitCodeIsNeverThatOfAStop checks that the agent replaces the codes for which the Job controller would create new pods for ever.
func TestACommandsOwnExitCodeIsNeverThatOfAStop(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	for code, want := range map[string]string{
		"204": "brane: step \"own\": the command exited with code 204\nbrane: step \"own\": exit code 204 is reserved for steps that were stopped: the container exits with code 1 instead\n",
		"205": "brane: step \"own\": the command exited with code 205\nbrane: step \"own\": exit code 205 is reserved for steps that were stopped: the container exits with code 1 instead\n",
	} {
		p := r.pod("own", nil)
		if got := p.sh("exit " + code); got.code != 1 || got.stderr != want {
			t.Errorf("the container exited with %d: %s", got.code, got.stderr)
		}
		if words := p.lastWords(); words != "" {
			t.Errorf("the termination message is %q", words)
		}
	}
	if r.committed("own") {
		t.Error("it was committed")
	}
}

// TestAStopWhileFilesAreStored checks that a command that has ended by itself is committed, because its result is complete.
func TestAStopWhileFilesAreStored(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		request func(*run, *exec.Cmd) error
		pause   time.Duration // of Redis after that
		code    int
	}{
		"SIGTERM":                               {terminate, 0, 0},
		"the cancellation of the run":           {func(r *run, _ *exec.Cmd) error { return r.store.Cancel(r.t.Context(), 1) }, 0, 0},
		"SIGTERM, and there is not time enough": {terminate, 35 * time.Second, agent.ExitStopped},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, nil)
			path, open := gate(t)
			cmd, stderr := r.pod("step", nil).begin("head -c 60000000 /dev/urandom >out; echo ready; cat " + path)
			chunks := func() int { return len(r.server.Client().Keys(t.Context(), "brane:"+r.id+":c:*").Val()) }
			before := chunks()
			open()
			testenv.AwaitTrue(t, "the agent to store output", func() bool { return chunks() >= before+2 })
			if err := tt.request(r, cmd); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			if tt.pause > 0 {
				r.server.Pause()
				go func() {
					select {
					case <-time.After(tt.pause):
					case <-ended:
					}
					r.server.Continue()
				}()
			}
			began := time.Now()
			_ = cmd.Wait() // the code is what counts
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("it took %s; Kubernetes would have killed it", took)
			}
			close(ended)
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("the container exited with %d, not %d: %s", code, tt.code, stderr)
			}
			if got := r.committed("step"); got != (tt.code == 0) {
				t.Errorf("committed: %v", got)
			}
		})
	}
}

func terminate(_ *run, cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }

// TestAStopWhileFilesAreStagedIn stops the init container, or the main container if there is no init container.
func TestAStopWhileFilesAreStagedIn(t *testing.T) {
	t.Parallel()
	for _, number := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		t.Run(number.String(), func(t *testing.T) {
			t.Parallel()
			silent, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close() // nobody connects any more
			p := newRun(t, nil).podAt("step", nil, "redis://"+silent.Addr().String())
			cmd := p.told("stage")
			if p.alone {
				cmd = p.main("echo", "it runs")
			}
			var output bytes.Buffer
			cmd.Stdout, cmd.Stderr = &output, &output
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			connection, err := silent.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(number); err != nil {
				t.Fatal(err)
			}
			if err := connection.Close(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the code is what counts
			want := "before the command had started\n"
			if code := cmd.ProcessState.ExitCode(); code != agent.ExitStopped || !strings.HasSuffix(output.String(), want) {
				t.Errorf("the container exited with %d: %s", code, &output)
			}
		})
	}
}

func TestACancelledRunStartsNothing(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	if err := r.store.Cancel(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	p := r.pod("later", nil)
	if got := p.sh("true"); got.code != agent.ExitCancelled || got.stderr != "brane: step \"later\": the run was cancelled before the command had started\n" {
		t.Errorf("the container exited with %d: %s", got.code, got.stderr)
	}
	if words := p.lastWords(); !agent.IsMessage(words) {
		t.Errorf("the termination message is %q", words)
	}
}

// TestACancellationOfAnEarlierTerm checks that an agent ignores it, before the command starts and while it runs.
func TestACancellationOfAnEarlierTerm(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	admin := r.server.Client()
	if err := r.store.Cancel(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	path, open := gate(t)
	p := r.pod("later", nil)
	p.step.Term = 2
	cmd, stderr := p.begin("echo ready; cat " + path + "; echo result >out")
	reads := func() string {
		_, after, _ := strings.Cut(admin.Info(t.Context(), "commandstats").Val(), "cmdstat_get:")
		count, _, _ := strings.Cut(after, ",")
		return count
	}
	channel := "brane:" + r.id + ":cancel.0"
	for admin.PubSubNumSub(t.Context(), channel).Val()[channel] == 0 { // the agent reads the key after it has subscribed
		<-time.After(10 * time.Millisecond)
	}
	before := reads()
	if err := r.store.Cancel(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	for reads() == before {
		<-time.After(10 * time.Millisecond)
	}
	open()
	_ = cmd.Wait() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != 0 || !r.committed("later") {
		t.Errorf("the container exited with %d: %s", code, stderr)
	}
}

// TestAnIndexThatIsStoppedIsNotCommitted checks that neither the index nor its step is committed.
func TestAnIndexThatIsStoppedIsNotCommitted(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	p := r.pod("fan", map[string][]string{"fan": {}})
	p.step.Indexed = true
	p.env = []string{agent.EnvIndex + "=1"}
	cmd, stderr := p.begin(stops("TERM", "0"))
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != agent.ExitStopped || r.committed("fan.1") || r.committed("fan") {
		t.Errorf("the container exited with %d, committed: %v: %s", code, r.committed("fan.1"), stderr)
	}
}

// TestAPackageThatIsStoppedIsNotCommitted stops a command that is run like branelet, and has printed a result.
func TestAPackageThatIsStoppedIsNotCommitted(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	p := r.pod("call", nil)
	p.step.Brane = "2"
	cmd, stderr := p.begin("trap 'exit 0' TERM; echo MA==; while :; do sleep 0.1; done")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // the code is what counts
	if code := cmd.ProcessState.ExitCode(); code != agent.ExitStopped || r.committed("call") {
		t.Errorf("the container exited with %d: %s", code, stderr)
	}
}
