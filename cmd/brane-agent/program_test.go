//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

func TestExitCodesAreTheCommandsOwn(t *testing.T) {
	r := newRun(t, nil)
	if err := os.WriteFile(filepath.Join(t.TempDir(), "text"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "no-interpreter")
	if err := os.WriteFile(script, []byte("#!/no/such/interpreter\n"), 0o700); err != nil { // it is to be run
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		program []string
		code    int
		stderr  string // a part
	}{
		"it succeeds":                         {[]string{"true"}, 0, ""},
		"it fails":                            {[]string{"sh", "-c", "echo oh no >&2; exit 42"}, 42, "oh no\n"},
		"it is killed":                        {[]string{"sh", "-c", "kill -9 $$"}, 137, `brane: step "code": the command was terminated by signal 9 (SIGKILL)`},
		"it crashes":                          {[]string{"sh", "-c", "kill -SEGV $$"}, 139, `brane: step "code": the command was terminated by signal 11 (SIGSEGV)`},
		"it is not there":                     {[]string{"no-such-program"}, 127, `brane: step "code": start "no-such-program": exec: "no-such-program": executable file not found in $PATH; it, or the interpreter in its first line, is not in the image`},
		"its path is not there":               {[]string{"/no/such/program"}, 127, `start "/no/such/program"`},
		"its interpreter is not there":        {[]string{script}, 127, "it, or the interpreter in its first line, is not in the image"},
		"it is a directory":                   {[]string{"/etc"}, 126, `start "/etc"`},
		"it is not executable":                {[]string{"/etc/hostname"}, 126, `start "/etc/hostname"`},
		"its code is also the agent's":        {[]string{"sh", "-c", "exit 202"}, 202, ""},
		"it prints nothing and reads nothing": {[]string{"cat"}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.pod("code", nil)
			if got := p.stage(); got.code != 0 {
				t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
			}
			got := p.run(tt.program...)
			if words := p.lastWords(); words != "" { // which distinguishes the command's 202 from the agent's
				t.Errorf("the agent's last words are %q", words)
			}
			if got.code != tt.code || !strings.Contains(got.stderr, tt.stderr) {
				t.Errorf("ended with %d: %s\nwant %d: %s", got.code, got.stderr, tt.code, tt.stderr)
			}
			if tt.code != 0 {
				if r.committed("code") {
					t.Error("a failed step was committed")
				}
				if log := r.log("code"); !strings.Contains(log, tt.stderr) {
					t.Errorf("the kept output is %q, want %q in it", log, tt.stderr)
				}
			}
			if err := r.store.Delete(t.Context()); err != nil { // each case is a run of its own
				t.Fatal(err)
			}
			r.input(nil)
		})
	}
}

func TestASecondAttemptOfACommittedStepRunsNothing(t *testing.T) {
	r := newRun(t, nil)
	if got := r.pod("once", nil).sh("echo 1 >ran"); got.code != 0 {
		t.Fatalf("ended with %d: %s", got.code, got.stderr)
	}
	late := r.pod("once", nil)
	marker := filepath.Join(t.TempDir(), "ran")
	if got := late.sh("touch " + marker); got.code != 0 || !strings.Contains(got.stderr, `brane: step "once": is already committed; nothing is run`) {
		t.Errorf("ended with %d: %s", got.code, got.stderr)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("the second attempt ran")
	}
	if got := r.content("once", "ran"); got != "1\n" {
		t.Errorf("the files of the first attempt are %q", got)
	}
}

// TestTheFirstOfTwoAttemptsIsUsed runs two attempts, of which one is slower.
func TestTheFirstOfTwoAttemptsIsUsed(t *testing.T) {
	r := newRun(t, nil)
	slow, fast := r.pod("twice", nil), r.pod("twice", nil)
	for _, p := range []*pod{slow, fast} {
		if got := p.stage(); got.code != 0 {
			t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
		}
	}
	gate := filepath.Join(t.TempDir(), "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan result)
	go func() {
		ended <- slow.run("sh", "-c", "cat "+gate+"; echo slow >"+slow.data+"/who")
	}()
	if got := fast.run("sh", "-c", "echo fast >"+fast.data+"/who"); got.code != 0 {
		t.Fatalf("ended with %d: %s", got.code, got.stderr)
	}
	open, err := os.OpenFile(gate, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got.code != 0 || !strings.Contains(got.stderr, "another attempt was committed first; its files are used") {
		t.Errorf("the slow one ended with %d: %s", got.code, got.stderr)
	}
	if got := r.content("twice", "who"); got != "fast\n" {
		t.Errorf("the files are of %q", got)
	}
}

// begin starts the main container and waits for the first line of the command's output.
func (p *pod) begin(script string) (*exec.Cmd, *bytes.Buffer) {
	p.t.Helper()
	if got := p.stage(); got.code != 0 {
		p.t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
	}
	cmd := p.main("/bin/sh", "-c", "cd "+p.data+"\n"+script)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		p.t.Fatal(err)
	}
	return cmd, stderr
}

// TestEachSignalOfTheDocsReachesTheCommand and every process of its group: a child in the background receives it too.
func TestEachSignalOfTheDocsReachesTheCommand(t *testing.T) {
	r := newRun(t, nil)
	for name, tt := range map[string]struct {
		signal syscall.Signal
		code   int
	}{
		"TERM": {syscall.SIGTERM, agent.ExitStopped}, "INT": {syscall.SIGINT, agent.ExitStopped}, "QUIT": {syscall.SIGQUIT, agent.ExitStopped},
		"HUP": {syscall.SIGHUP, 7}, "USR1": {syscall.SIGUSR1, 7}, "USR2": {syscall.SIGUSR2, 7}, "WINCH": {syscall.SIGWINCH, 7},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.pod("signal", nil)
			heard := filepath.Join(t.TempDir(), "heard")
			if err := syscall.Mkfifo(heard, 0o600); err != nil {
				t.Fatal(err)
			}
			// The child is a shell of its own: one that a shell puts into the background ignores INT and QUIT. It gives up after half a minute.
			child := `trap 'echo child >"$1"; exit 0' ` + name + `; echo ready; for i in $(seq 600); do sleep 0.05; done; echo nothing >"$1"`
			cmd, stderr := p.begin(`trap : ` + name + `
env --default-signal=INT,QUIT sh -c '` + strings.ReplaceAll(child, "'", `'\''`) + `' sh ` + heard + ` &
read -r line <` + heard + `
while test -z "$line"; do read -r line <` + heard + `; done
test "$line" = child && exit 7`)
			if err := cmd.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the code is what counts
			if code := cmd.ProcessState.ExitCode(); code != tt.code || tt.code != 7 && !strings.Contains(stderr.String(), "it exited with code 7,") {
				t.Errorf("ended with %d: %s, want %d", code, stderr, tt.code)
			}
		})
	}
}

// TestStragglersAreGoneBeforeTheSnapshot starts a daemon in a session of its own, which still writes when the command ends.
func TestStragglersAreGoneBeforeTheSnapshot(t *testing.T) {
	r := newRun(t, nil)
	p := r.pod("daemon", nil)
	pid := filepath.Join(t.TempDir(), "pid")
	got := p.sh("setsid sh -c 'echo $$ >" + pid + "; while :; do echo x >>out; sleep 0.01; done' & while ! test -s " + pid + "; do sleep 0.01; done; echo done")
	if got.code != 0 || got.stdout != "done\n" {
		t.Fatalf("ended with %d, %q: %s", got.code, got.stdout, got.stderr)
	}
	text, err := os.ReadFile(pid) // the test's own file
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(text))); err == nil {
		t.Error("the daemon still runs")
	}
	disk, err := os.ReadFile(filepath.Join(p.data, "out"))
	if err != nil {
		t.Fatal(err)
	}
	if r.content("daemon", "out") != string(disk) {
		t.Error("the daemon wrote after the snapshot")
	}
}

// TestOrphansAreReaped checks that a command that starts many processes does not run out of process IDs, because the agent may be process 1 of the container.
func TestOrphansAreReaped(t *testing.T) {
	r := newRun(t, nil)
	got := r.pod("orphans", nil).sh(`for i in $(seq 20); do sh -c 'sh -c "exit 0" & exit 0'; done
for try in $(seq 200); do
  zombies=0
  for f in /proc/[0-9]*/stat; do
    { read -r pid name state parent rest <"$f"; } 2>/dev/null || continue
    if [ "$state $parent" = "Z $PPID" ]; then zombies=$((zombies + 1)); fi
  done
  if [ $zombies = 0 ]; then exit 0; fi
  sleep 0.05
done
echo $zombies are left
exit 5`)
	if got.code != 0 {
		t.Errorf("ended with %d: %s%s", got.code, got.stdout, got.stderr)
	}
}

// TestTheEndOfTheOutputIsKept checks that the end of the output is kept to the byte for the time after the pod, and both streams in any order.
func TestTheEndOfTheOutputIsKept(t *testing.T) {
	r := newRun(t, nil)
	got := r.pod("long", nil).sh("seq 50000")
	if got.code != 0 || len(got.stdout) < 2*files.MaxLog {
		t.Fatalf("ended with %d, and %d bytes of output: %s", got.code, len(got.stdout), got.stderr)
	}
	if kept := r.log("long"); len(kept) != files.MaxLog || !strings.HasSuffix(got.stdout, kept) {
		t.Errorf("%d bytes are kept, which end with %q", len(kept), kept[max(0, len(kept)-20):])
	}
	if got := r.pod("both", nil).sh("echo one; echo other >&2"); got.code != 0 {
		t.Fatalf("ended with %d: %s", got.code, got.stderr)
	}
	if kept := r.log("both"); kept != "one\nother\n" && kept != "other\none\n" {
		t.Errorf("of both streams %q is kept", kept)
	}
}

func TestStageInFailsBeforeTheCommandStarts(t *testing.T) {
	r := newRun(t, nil)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	noSecret := `read the address of redis: open /nowhere/redis-url: no such file or directory`
	if os.Getenv(noInit) != "" { // Kubernetes would not start the container
		noSecret = `redis URL: it has to begin with redis://, rediss://, redis+cluster://, rediss+cluster://, redis+sentinel:// or rediss+sentinel://`
	}
	for name, tt := range map[string]struct {
		change func(p *pod)
		want   string
	}{
		"a wrong password": {
			func(p *pod) { p.writeSecret("redis://:wr0ng@" + r.server.Addr()) },
			`brane: step "fails": run test-1: ping redis: redis refuses the user name or password: WRONGPASS invalid username-password pair or user is disabled.; check user and password in redis.pod_url`,
		},
		"an address that is none": {
			func(p *pod) { p.writeSecret("s3cret") },
			`brane: step "fails": redis URL: it has to begin with redis://, rediss://, redis+cluster://, rediss+cluster://, redis+sentinel:// or rediss+sentinel://`,
		},
		"no Secret": {
			func(p *pod) { p.secret = "/nowhere" },
			`brane: step "fails": ` + noSecret,
		},
		"files that are gone": {
			func(p *pod) { p.step.Layer = files.Layer(strings.Repeat("0", 64)) },
			`brane: step "fails": restore into /data: layer 000000000000: run test-1: chunk 000000000000 is not in redis any more; files of this run are lost: apply again`,
		},
		"an index that is none": {
			func(p *pod) { p.step.Indexed = true },
			`brane: step "fails": the step has indexes, but JOB_COMPLETION_INDEX is ""`,
		},
		"a deadline that has passed": {
			func(p *pod) { p.step.Deadline = 1 },
			`brane: step "fails": the files of run test-1 expired at 1970-01-01T00:00:01Z; apply again`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.pod("fails", nil)
			tt.change(p)
			got := p.staged()
			if got.code != agent.ExitStageIn || got.stdout != "" || strings.ReplaceAll(got.stderr, p.data, "/data") != tt.want+"\n" {
				t.Errorf("ended with %d: %s\nwant %s", got.code, got.stderr, tt.want)
			}
		})
	}
}

func TestMainContainerFailsBeforeTheCommandStarts(t *testing.T) {
	r := newRun(t, nil)
	for name, tt := range map[string]struct {
		change func(p *pod)
		want   string // a part
	}{
		"the specification is not readable": {
			func(p *pod) {
				share(t, p)
				if err := os.Chmod(filepath.Join(p.mount, "spec.json"), 0); err != nil {
					t.Fatal(err)
				}
			},
			"the init container ran as another user: both need the same one, as security_context.run_as_user of the step sets it",
		},
		"there is no specification": {
			func(p *pod) {
				share(t, p)
				if err := os.Remove(filepath.Join(p.mount, "spec.json")); err != nil {
					t.Fatal(err)
				}
			},
			"the restart policy of the pod has to be Never",
		},
		"the password was changed meanwhile": {
			func(p *pod) {
				share(t, p)
				admin := r.server.Client()
				if err := admin.ConfigSet(t.Context(), "requirepass", "0ther").Err(); err != nil {
					t.Fatal(err)
				}
			},
			"redis refuses the user name or password: WRONGPASS",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.pod("fails", nil)
			if got := p.stage(); got.code != 0 {
				t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
			}
			tt.change(p)
			cmd := p.main("/bin/sh", "-c", "echo ran")
			asNobody(cmd)
			got := finish(t, cmd)
			if got.code != agent.ExitStageIn || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("ended with %d, %q: %s\nwant %s", got.code, got.stdout, got.stderr, tt.want)
			}
			setPassword(t, r)
		})
	}
}

// setPassword gives the server its first password again.
func setPassword(t testing.TB, r *run) {
	t.Helper()
	client, err := files.Dial("redis://:0ther@" + r.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() // nothing is lost
	// An error means that the password was not changed.
	_ = client.ConfigSet(t.Context(), "requirepass", "s3cret").Err()
}

func TestParallelStepsThatWroteToOnePathConflict(t *testing.T) {
	r := newRun(t, nil)
	for _, step := range []string{"one", "other"} {
		if got := r.pod(step, nil).sh("echo " + step + " >same"); got.code != 0 {
			t.Fatalf("%s ended with %d: %s", step, got.code, got.stderr)
		}
	}
	p := r.podAhead("both", map[string][]string{"both": {"other", "one"}})
	if got := p.stage(); got.code != 0 {
		t.Fatalf("stage ended with %d: %s", got.code, got.stderr)
	}
	got := p.run("true")
	want := `brane: step "both": merge the files of the needed steps: steps "one" and "other" wrote different content to "same"; let one of them need the other, or write to other paths` + "\n"
	if got.code != agent.ExitStageIn || got.stderr != want {
		t.Errorf("ended with %d: %s\nwant %s", got.code, got.stderr, want)
	}
}

func TestAFanOutCommitsEachIndex(t *testing.T) {
	r := newRun(t, map[string]files.Source{"in": {Content: []byte("x")}})
	for _, index := range []string{"0", "1"} {
		p := r.pod("fan", map[string][]string{"fan": {}})
		r.fanOut(p, index, "first", "the second")
		if got := p.sh("echo $BRANE_INDEX $BRANE_ITEM >out.$JOB_COMPLETION_INDEX"); got.code != 0 {
			t.Fatalf("ended with %d: %s", got.code, got.stderr)
		}
	}
	if got := r.pod("merge", map[string][]string{"merge": {"fan.0", "fan.1"}}).sh("cat in out.* >all"); got.code != 0 {
		t.Fatalf("ended with %d: %s", got.code, got.stderr)
	}
	if got := r.content("merge", "all"); got != "x0 first\n1 the second\n" {
		t.Errorf("merged %q", got)
	}
}

// TestLinksAndSpecialFiles checks that a link to a file of the image is stored, and that a named pipe is skipped with a line in the log.
func TestLinksAndSpecialFiles(t *testing.T) {
	t.Parallel()
	r := newRun(t, nil)
	got := r.pod("first", nil).sh("mkfifo pipe; ln -s /bin/sh shell; echo x >out")
	const line = "brane: step \"first\": \"pipe\" is a named pipe: it is not stored\n"
	if got.code != 0 || got.stderr != line || !strings.Contains(r.log("first"), line) {
		t.Errorf("ended with %d: %s", got.code, got.stderr)
	}
	second := r.pod("second", map[string][]string{"second": {"first"}, "first": nil}).sh("ls; readlink shell >target; ./shell -c 'echo works'")
	if second.code != 0 || second.stdout != "out\nshell\nworks\n" || r.content("second", "target") != "/bin/sh\n" {
		t.Errorf("the next step ended with %d: %s%s", second.code, second.stdout, second.stderr)
	}
}

func TestStageOutFailureIsItsOwnCode(t *testing.T) {
	r := newRun(t, nil)
	p := r.pod("pipe", nil)
	got := p.sh("mknod p c 0 0") // a device that everyone may create and no one can open
	if got.code != agent.ExitStageOut || !strings.Contains(got.stderr, `file "p" is a device`) {
		t.Errorf("ended with %d: %s", got.code, got.stderr)
	}
	if words := p.lastWords(); !agent.IsMessage(words) || words != got.stderr {
		t.Errorf("its last words are %q", words)
	}
	if r.committed("pipe") {
		t.Error("it was committed")
	}
	if log := r.log("pipe"); !strings.Contains(log, "is a device") {
		t.Errorf("the kept output is %q", log)
	}
}

// TestTheOutputOfARunningStepIsKept checks that output is stored before the end, because a container that is killed for its memory cannot store it, and
// that the pod has few connections meanwhile.
func TestTheOutputOfARunningStepIsKept(t *testing.T) {
	r := newRun(t, nil)
	if err := r.server.Client().ACLSetUser(t.Context(), "agent", "on", ">n0ther", "~*", "&*", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	p := r.pod("talks", nil)
	p.writeSecret("redis://agent:n0ther@" + r.server.Addr())
	cmd, _ := p.begin("echo ready; exec sleep 60")
	testenv.AwaitTrue(t, "the output", func() bool { return r.log("talks") == "ready\n" })
	clients, err := r.server.Client().ClientList(t.Context()).Result()
	if connections := strings.Count(clients, " user=agent "); err != nil || connections < 1 || connections > 2 {
		t.Errorf("the pod has %d connections while its command runs, %v:\n%s", connections, err, clients)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was stopped
}

func TestUsage(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"walk"}, {"run"}, {"stage", "x"}, {"run", "-nonsense"}} {
		cmd := exec.Command(self, args...) // the test's own program
		cmd.Env = []string{asAgent + "=1"}
		if got := finish(t, cmd); got.code != exitUsage || !strings.Contains(got.stderr, "usage: brane-agent stage") {
			t.Errorf("%s ended with %d: %s", fmt.Sprint(args), got.code, got.stderr)
		}
	}
}
