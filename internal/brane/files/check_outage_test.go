package files

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// refusal answers commands with an error until a time.
type refusal struct {
	answer answer
	until  time.Time
}

func (r *refusal) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r *refusal) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		if time.Now().Before(r.until) {
			command.SetErr(r.answer)
			return r.answer
		}
		return next(ctx, command)
	}
}

func (r *refusal) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		if time.Now().Before(r.until) {
			for _, command := range commands {
				command.SetErr(r.answer)
			}
			return r.answer
		}
		return next(ctx, commands)
	}
}

// TestCheckWaitsForServersThatAnswer checks a server that answers that it will be available soon, for longer than a server is waited for that does not
// answer at all.
func TestCheckWaitsForServersThatAnswer(t *testing.T) {
	t.Parallel()
	for _, reply := range []answer{
		"LOADING Redis is loading the dataset in memory", "CLUSTERDOWN The cluster is down", "MASTERDOWN Link with MASTER is down", "READONLY You can't write against a read only replica.",
		"TRYAGAIN Multiple keys request during rehashing of slot", "ERR max number of clients reached",
	} {
		t.Run(string(reply), func(t *testing.T) {
			t.Parallel()
			client := dial(t, redistest.Start(t, "--appendonly", "yes").URL())
			client.AddHook(&refusal{reply, time.Now().Add(checkPatience + 2*time.Second)})
			if warnings, err := Check(t.Context(), client); err != nil || len(warnings) > 0 {
				t.Errorf("got %q, %v", warnings, err)
			}
		})
	}
}

// TestCheckEndsWithItsContext checks that a server that never becomes available is not waited for when the operation has ended, and that the answer is not
// lost.
func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	client := dial(t, redistest.Start(t).URL())
	client.AddHook(&refusal{"CLUSTERDOWN The cluster is down", time.Now().Add(time.Hour)})
	late := errors.New("not finished")
	ctx, done := context.WithTimeoutCause(t.Context(), time.Second, late)
	defer done()
	const want = "check redis: not finished (last answer: CLUSTERDOWN The cluster is down)"
	if _, err := Check(ctx, client); !errors.Is(err, late) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestCheckFindsWrongAddressesSoon checks that nobody waits long for an address where nothing listens.
func TestCheckFindsWrongAddressesSoon(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := nobody.Addr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"redis://" + silent, "redis+cluster://" + silent, "redis+sentinel://" + silent + "?master=main"} {
		began := time.Now()
		if _, err := Check(t.Context(), dial(t, url)); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: got %v", url, err)
		}
		if took := time.Since(began); took > 3*checkPatience {
			t.Errorf("%s: it took %s", url, took)
		}
	}
}

// TestCheckWaitsForMasters checks a Cluster one of whose masters starts again.
func TestCheckWaitsForMasters(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t)
	cluster.Masters[1].Kill()
	started := make(chan struct{})
	go func() {
		defer close(started)
		time.Sleep(checkPatience + 2*time.Second)
		cluster.Masters[1].Restart()
	}()
	warnings, err := Check(t.Context(), dial(t, cluster.URL()))
	if err != nil {
		t.Errorf("got %q, %v", warnings, err)
	}
	<-started
}
