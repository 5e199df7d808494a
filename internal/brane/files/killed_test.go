package files

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// If asWriter is set, the test binary is a writer: the value is the server's address, what to write, and before which PERSIST to wait to be
// killed.
const asWriter = "BRANE_TEST_WRITER"

func TestMain(m *testing.M) {
	if orders := strings.Fields(os.Getenv(asWriter)); len(orders) == 3 {
		fmt.Println(write(orders[0], orders[1], orders[2])) // the output is not "ready"
		os.Exit(1)
	}
	logging.Disable() // of go-redis: its lines about interrupted connections hide the reason of a failure
	os.Exit(m.Run())
}

// written returns what the writer writes.
func written(content string) map[string]Source {
	return map[string]Source{"small": {Content: []byte(content)}, "large": {Content: bytes.Repeat([]byte(content), 500_000)}}
}

func write(address, what, before string) error {
	ctx := context.Background()
	client, err := Dial(address)
	if err != nil {
		return err
	}
	nth, err := strconv.Atoi(before)
	if err != nil {
		return err
	}
	client.AddHook(&standStill{before: nth})
	if content, found := strings.CutPrefix(what, "set:"); found {
		set, err := OpenSet(client, "corpus")
		if err == nil {
			_, err = set.Put(ctx, content, written(content))
		}
		return err
	}
	s, err := Open(Config{Redis: client, Run: "run", Deadline: time.Now().Add(time.Hour)})
	if err != nil {
		return err
	}
	layer, err := s.PutInputs(ctx, written("output"))
	if err != nil {
		return err
	}
	tree, err := s.Tree(ctx, layer)
	if err == nil {
		_, _, err = s.Keep(ctx, []string{"small", "large"}, tree, 0)
	}
	return err
}

// standStill prints "ready" before the nth round trip with PERSIST, and blocks.
type standStill struct{ before int }

func (h *standStill) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *standStill) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		h.look(command)
		return next(ctx, command)
	}
}

func (h *standStill) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		h.look(commands[0])
		return next(ctx, commands)
	}
}

func (h *standStill) look(command redis.Cmder) {
	if command.Name() != "persist" {
		return
	}
	if h.before--; h.before == 0 {
		fmt.Println("ready")
		select {}
	}
}

// TestKilledWriterLeavesNoPermanentKeys checks that after a kill every key without a deadline belongs to a record without a deadline.
func TestKilledWriterLeavesNoPermanentKeys(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		before string // the content of the set
		what   string
		nth    int
		stays  bool   // the record of the set, if there was none before
		reads  string // the content of the set after that
	}{
		"a first set, before its record is kept": {"", "set:one", 1, false, "one"},
		"a first set, before its chunks are":     {"", "set:one", 2, true, "one"},
		"another content of a set":               {"one", "set:two", 2, false, "one"},
		"outputs of a run":                       {"", "outputs", 1, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			client, ctx := dial(t, server.URL()), t.Context()
			set, err := OpenSet(client, "corpus")
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]bool{}
			if tt.before != "" {
				if _, err := set.Put(ctx, tt.before, written(tt.before)); err != nil {
					t.Fatal(err)
				}
				for _, key := range client.Keys(ctx, "*").Val() {
					want[key] = true
				}
			} else if tt.stays {
				want["brane:set--corpus:set"] = true
			}
			kill(t, self, fmt.Sprint(server.URL(), " ", tt.what, " ", tt.nth))
			keys := client.Keys(ctx, "*").Val()
			if len(keys) <= len(want) {
				t.Errorf("it has left only %q", keys)
			}
			for _, key := range keys {
				if left := client.TTL(ctx, key).Val(); left > 24*time.Hour || left <= 0 != want[key] {
					t.Errorf("%s goes in %s", key, left)
				}
			}
			if _, content, err := set.Layer(ctx); content != tt.reads || err != nil {
				t.Errorf("the set has %q, %v; want %q", content, err, tt.reads)
			}
			if tt.reads == "" {
				return
			}
			// The next writer completes it.
			if _, err := set.Put(ctx, "next", written("one")); err != nil {
				t.Fatal(err)
			}
			for _, key := range client.Keys(ctx, "*").Val() {
				if left := client.TTL(ctx, key).Val(); left >= 0 {
					t.Errorf("after the next put, %s goes in %s", key, left)
				}
			}
			if err := set.Delete(ctx); err != nil || client.DBSize(ctx).Val() != 0 {
				t.Errorf("%d keys are left, %v", client.DBSize(ctx).Val(), err)
			}
		})
	}
}

// kill kills a writer with SIGKILL at the point that its orders name.
func kill(t *testing.T, self, orders string) {
	t.Helper()
	writer := exec.Command(self)
	writer.Env = append(os.Environ(), asWriter+"="+orders)
	said, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, len("ready\n"))
	n, _ := said.Read(line)
	if err := writer.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = writer.Wait() // it was killed
	if string(line[:n]) != "ready\n" {
		t.Fatalf("the writer said %q", line[:n])
	}
}
