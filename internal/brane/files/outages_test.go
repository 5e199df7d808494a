package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// firstError calls a function after the first command, or pipeline, with an error that is not [redis.Nil] in one of its answers.
type firstError struct {
	once sync.Once
	call func(err error)
}

func (f *firstError) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *firstError) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, command redis.Cmder) error {
		err := next(ctx, command)
		f.report(err)
		return err
	}
}

func (f *firstError) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		err := next(ctx, commands)
		for _, command := range commands {
			f.report(command.Err())
		}
		return err
	}
}

func (f *firstError) report(err error) {
	if err != nil && !errors.Is(err, redis.Nil) {
		f.once.Do(func() { f.call(err) })
	}
}

// stepOn returns the name of a step, with this beginning, whose key of this kind is on a master.
func stepOn(t *testing.T, client *redis.ClusterClient, s *Store, kind, beginning, master string) string {
	t.Helper()
	for i := range 1000 {
		name := fmt.Sprint(beginning, i)
		node, err := client.MasterForKey(t.Context(), s.resultKey(kind, resultOf(name)))
		if err != nil {
			t.Fatal(err)
		}
		if node.Options().Addr == master {
			return name
		}
	}
	t.Fatalf("no key is on %s", master)
	return ""
}

// TestMissingKeyHidesNoOutage reads two keys of a Cluster: the first does not exist, and the server of the second is suspended.
func TestMissingKeyHidesNoOutage(t *testing.T) {
	cluster := redistest.StartCluster(t)
	options, err := Dialer{}.parseOptions(cluster.URL())
	if err != nil {
		t.Fatal(err)
	}
	options.ReadTimeout, options.WriteTimeout = time.Second, time.Second
	client := redis.NewClusterClient(options.Cluster())
	t.Cleanup(func() { _ = client.Close() }) // nothing was written that could be lost
	s := open(t, client, "hidden")
	paused := cluster.Masters[1]
	for name, tt := range map[string]struct {
		kind  string
		store func(step string) error
		read  func(steps []string) (found bool, err error)
	}{
		"commits": {"step", func(step string) error {
			_, _, err := s.Commit(t.Context(), resultOf(step), Record{Layer: someLayer})
			return err
		}, func(steps []string) (bool, error) {
			records, err := s.Commits(t.Context(), fingerprintsOf(steps...))
			_, found := records[steps[1]]
			return found, err
		}},
		"failures": {"failed", func(step string) error { return s.SetFailure(t.Context(), resultOf(step), []byte("why")) }, func(steps []string) (bool, error) {
			failures, err := s.Failures(t.Context(), fingerprintsOf(steps...))
			return failures[steps[1]] != nil, err
		}},
		"starts": {"starts", func(step string) error { return s.NoteStart(t.Context(), resultOf(step), "pod", time.Now()) }, func(steps []string) (bool, error) {
			starts, err := s.Starts(t.Context(), fingerprintsOf(steps...))
			return starts[steps[1]] == 1, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			// The keys are read in the order of the names.
			missing, stored := stepOn(t, client, s, tt.kind, "missing-", cluster.Masters[0].Addr()), stepOn(t, client, s, tt.kind, "stored-", paused.Addr())
			if err := tt.store(stored); err != nil {
				t.Fatal(err)
			}
			client.AddHook(&firstError{call: func(error) { paused.Continue() }})
			paused.Pause()
			defer paused.Continue() // if no error was seen
			if found, err := tt.read([]string{missing, stored}); !found || err != nil {
				t.Errorf("found: %t, %v", found, err)
			}
		})
	}
}

// TestTransientReplies checks that a commit is repeated while a server answers that it cannot write, or be read, for the moment.
func TestTransientReplies(t *testing.T) {
	configure := func(t *testing.T, client *redis.Client, name, value string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for reply, tt := range map[string]struct {
		fault, repair func(t *testing.T, server *redistest.Server, admin *redis.Client)
	}{
		"NOREPLICAS": {
			func(t *testing.T, _ *redistest.Server, admin *redis.Client) {
				configure(t, admin, "min-replicas-to-write", "1")
			},
			func(t *testing.T, _ *redistest.Server, admin *redis.Client) {
				configure(t, admin, "min-replicas-to-write", "0")
			},
		},
		"MISCONF": {
			func(t *testing.T, server *redistest.Server, admin *redis.Client) {
				if err := os.Mkdir(filepath.Join(server.Dir(), "dump.rdb"), 0o750); err != nil {
					t.Fatal(err)
				}
				configure(t, admin, "save", "3600 1")
				if err := admin.BgSave(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				for infoField(admin.Info(t.Context(), "persistence").Val(), "rdb_last_bgsave_status") != "err" {
					<-time.After(10 * time.Millisecond)
				}
			},
			func(t *testing.T, server *redistest.Server, admin *redis.Client) {
				if err := errors.Join(os.Remove(filepath.Join(server.Dir(), "dump.rdb")), admin.Save(t.Context()).Err()); err != nil {
					t.Error(err)
				}
			},
		},
		"READONLY": {
			func(t *testing.T, _ *redistest.Server, admin *redis.Client) {
				admin.ReplicaOf(t.Context(), "127.0.0.1", "1")
			},
			func(t *testing.T, _ *redistest.Server, admin *redis.Client) {
				admin.ReplicaOf(t.Context(), "no", "one")
			},
		},
		"ERR max number of clients": {
			func(t *testing.T, _ *redistest.Server, admin *redis.Client) { configure(t, admin, "maxclients", "1") },
			func(t *testing.T, _ *redistest.Server, admin *redis.Client) { configure(t, admin, "maxclients", "100") },
		},
	} {
		t.Run(reply, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			admin := server.Client()
			tt.fault(t, server, admin)
			client := dial(t, server.URL())
			hasFailed := false
			client.AddHook(&firstError{call: func(err error) {
				hasFailed = true
				if !strings.HasPrefix(err.Error(), reply) {
					t.Errorf("the server's answer was %v", err)
				}
				tt.repair(t, server, admin)
			}})
			if _, won, err := open(t, client, "transient").Commit(t.Context(), resultOf("count"), Record{Layer: someLayer}); !won || err != nil || !hasFailed {
				t.Errorf("the commit won: %t, %v; after a failure: %t", won, err, hasFailed)
			}
		})
	}
}

// answer is an answer of a server.
type answer string

func (a answer) Error() string { return string(a) }
func (a answer) RedisError()   {}

// TestIsTransient checks answers that a test cannot provoke easily.
func TestIsTransient(t *testing.T) {
	for text, want := range map[string]bool{
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": true,
		"LOADING Redis is loading the dataset in memory":                                   true,
		"CLUSTERDOWN Hash slot not served":                                                 true,
		"TRYAGAIN Multiple keys request during rehashing of slot":                          true,
		"MOVED 3999 127.0.0.1:6381":                                                        true,
		"ASK 3999 127.0.0.1:6381":                                                          true,
		"ERR max number of clients + cluster connections reached":                          true,
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL":               true,
		"WRONGPASS invalid username-password pair or user is disabled.":                    false,
		"NOPERM this user has no permissions to run the 'get' command":                     false,
		"OOM command not allowed when used memory > 'maxmemory'.":                          false,
		"WRONGTYPE Operation against a key holding the wrong kind of value":                false,
		"BUSYKEY Target key name already exists.":                                          false,
		"ERR unknown command 'COPY', with args beginning with: ":                           false,
		"NOAUTH Authentication required.":                                                  false,
	} {
		if got := isTransient(fmt.Errorf("read: %w", answer(text))); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}
