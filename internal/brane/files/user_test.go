package files

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// limited returns the store of a run as its agents open it, with the run's own user.
func limited(t *testing.T, admin *Store, address string) *Store {
	t.Helper()
	name, err := admin.GrantUser(t.Context(), "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(Config{Redis: dial(t, strings.Replace(address, "://", "://"+name+":s3cret@", 1)), Run: admin.run, Deadline: admin.deadline, UserReturns: true, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheUserOfARunReachesThatRunAlone(t *testing.T) {
	cluster := redistest.StartCluster(t)
	for name, address := range map[string]string{"one server": redistest.Start(t).URL(), "a Cluster": cluster.URL()} {
		t.Run(name, func(t *testing.T) {
			client, ctx := dial(t, address), t.Context()
			other := open(t, client, "theirs")
			if _, _, err := other.Commit(ctx, resultOf("step"), Record{Layer: someLayer}); err != nil {
				t.Fatal(err)
			}
			admin := open(t, client, "ours")
			s := limited(t, admin, address)
			events := s.Events(ctx, Steps)
			<-events
			tree := leave(t, s, map[string][]byte{"small": []byte("hello"), "large": make([]byte, 3*ChunkSize)})
			if err := restored(t, s, tree, t.TempDir()); err != nil {
				t.Fatal(err)
			}
			if _, won, err := s.Commit(ctx, resultOf("step"), Record{Layer: someLayer}); err != nil || !won {
				t.Errorf("Commit says %v, %v", won, err)
			}
			if got := <-events; got.State != Committed {
				t.Errorf("the event is %v", got)
			}
			if _, err := s.CancelledTerm(ctx); err != nil {
				t.Error(err)
			}
			if err := s.SetLog(ctx, resultOf("step"), []byte("log")); err != nil {
				t.Error(err)
			}
			if err := s.NoteStart(ctx, resultOf("step"), "pod", time.Now()); err != nil {
				t.Error(err)
			}
			for what, command := range map[string][]any{
				"another run's commit":    {"get", "brane:theirs:step:" + resultOf("step").String()},
				"to write there":          {"set", "brane:theirs:step:" + resultOf("other").String(), "x"},
				"to delete":               {"unlink", "brane:ours:step:" + resultOf("step").String()},
				"all names of keys":       {"keys", "*"},
				"to look around":          {"scan", "0"},
				"to empty the server":     {"flushall"},
				"the configuration":       {"config", "get", "*"},
				"to make users":           {"acl", "setuser", "me", "on"},
				"to listen to other runs": {"subscribe", "brane:theirs:ev.0"},
			} {
				if err := s.redis.Do(ctx, command...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
					t.Errorf("it may have %s: %v", what, err)
				}
			}
			if err := errors.Join(admin.RevokeUser(ctx), admin.Delete(ctx), other.Delete(ctx)); err != nil {
				t.Error(err)
			}
			if err := eachMaster(ctx, client, func(ctx context.Context, master *redis.Client) error {
				users, err := master.ACLUsers(ctx).Result()
				if !slices.Equal(users, []string{"default"}) {
					return fmt.Errorf("users are left: %q (%w)", users, err)
				}
				return err
			}); err != nil {
				t.Error(err)
			}
			if n := client.DBSize(ctx).Val(); n != 0 {
				t.Errorf("%d keys are left", n)
			}
		})
	}
}

// TestRunUserIsCreatedAgain deletes the user in the middle, by a restart or a command; the agent continues when the user was created
// again.
func TestRunUserIsCreatedAgain(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	admin := open(t, server.Client(), "lost-user")
	s := limited(t, admin, server.URL())
	ctx := t.Context()
	for name, lose := range map[string]func() error{
		"somebody removes it":     func() error { return server.Client().ACLDelUser(ctx, UserName("lost-user", 0)).Err() },
		"the server starts again": func() error { server.Kill(); server.Restart(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			if err := s.Ping(ctx); err != nil {
				t.Fatal(err)
			}
			if again, err := admin.KeepUser(ctx); err != nil || again {
				t.Fatalf("while it is there, KeepUser says %v, %v", again, err)
			}
			if err := lose(); err != nil {
				t.Fatal(err)
			}
			// The store itself would wait for its user.
			if err := checking.run(ctx, func(ctx context.Context) error { return s.redis.Ping(ctx).Err() }); !errors.Is(err, ErrPassword) {
				t.Errorf("without its user, it says %v", err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := s.PutInputs(ctx, map[string]Source{name: {Content: []byte("x")}})
				ended <- err
			}()
			if again, err := admin.KeepUser(ctx); err != nil || !again {
				t.Errorf("KeepUser says %v, %v", again, err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestASecondPasswordLeavesTheFirstGood(t *testing.T) {
	server := redistest.Start(t)
	admin := open(t, server.Client(), "twice")
	s := limited(t, admin, server.URL())
	if _, err := admin.GrantUser(t.Context(), "0ther"); err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := dial(t, "redis://"+UserName("twice", 0)+":0ther@"+server.Addr()).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestServersThatMakeNoUsers(t *testing.T) {
	server := redistest.Start(t)
	if err := server.Client().ACLSetUser(t.Context(), "tenant", "on", ">s3cret", "~*", "&*", "+@all", "-acl").Err(); err != nil {
		t.Fatal(err)
	}
	s := open(t, dial(t, "redis://tenant:s3cret@"+server.Addr()), "managed")
	if _, err := s.GrantUser(t.Context(), "x"); !errors.Is(err, ErrNoUsers) {
		t.Errorf("GrantUser says %v", err)
	}
	if again, err := s.KeepUser(t.Context()); again || err == nil {
		t.Errorf("KeepUser says %v, %v", again, err)
	}
	if err := s.RevokeUser(t.Context()); err != nil {
		t.Errorf("RevokeUser says %v", err)
	}
}

// TestRulesForEachVersion checks that each server version accepts the rules; it rejects all of them if one is unknown, and then there is no
// user.
func TestRulesForEachVersion(t *testing.T) {
	for version, want := range map[[2]int]bool{{7, 0}: false, {7, 2}: true, {8, 0}: true, {10, 1}: true} {
		if got := slices.Contains(userRules("r", nil, version), "+client|setinfo"); got != want {
			t.Errorf("version %v may say client setinfo: %v", version, got)
		}
	}
}
