package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrNoUsers means that the server cannot create users for runs: it does not support ACL, as some managed services do not, or our user may
// not use it.
var ErrNoUsers = errors.New("redis cannot create users for runs")

// metaUser is the field of the run's meta hash that holds the digests of the passwords of the run's user, separated by spaces. A user
// exists only in the memory of a server, so the program that continues the run can create it again without knowing a password.
const metaUser = "user"

// UserName returns the name of the Redis user that can access the files of one run and nothing else. The databases of a server share the
// users, so the name contains the database.
func UserName(run string, database int) string { return fmt.Sprintf("brane-%s.%d", run, database) }

func (s *Store) userName() string { return UserName(s.run, databaseOf(s.redis)) }

// GrantUser adds this password to the run's user, and creates the user if it does not exist. Earlier passwords stay valid, as agents that
// use them may still run. The password should be random: its digest is stored in Redis. The error wraps [ErrNoUsers] if the server cannot
// create users.
func (s *Store) GrantUser(ctx context.Context, password string) (name string, err error) {
	digests, err := s.userDigests(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(password))
	if digest := hex.EncodeToString(sum[:]); !slices.Contains(digests, digest) {
		digests = append(digests, digest)
	}
	if err := s.createUser(ctx, digests); err != nil {
		return "", err
	}
	return s.userName(), s.SetMeta(ctx, map[string]string{metaUser: strings.Join(digests, " ")})
}

// KeepUser creates the run's user again on every server that has lost it, for example in a restart or a fail-over. It does nothing if the
// run has no user.
func (s *Store) KeepUser(ctx context.Context) (again bool, err error) {
	lost, err := s.isUserLost(ctx)
	if err != nil || !lost {
		return false, err
	}
	digests, err := s.userDigests(ctx)
	if err != nil || len(digests) == 0 {
		return false, err
	}
	return true, s.createUser(ctx, digests)
}

// RevokeUser deletes the run's user, if it exists, and closes all of its connections.
func (s *Store) RevokeUser(ctx context.Context) error {
	err := s.runOnEachMaster(ctx, "remove the run's user", func(ctx context.Context, master *redis.Client) error {
		err := master.ACLDelUser(ctx, s.userName()).Err()
		if isACLUnsupported(err) {
			return nil // then no user was created
		}
		return err
	})
	if err != nil {
		return err
	}
	return ignoreForbidden(s.runCommand(ctx, "remove the record of the run's user", func(ctx context.Context) error { return s.redis.HDel(ctx, s.keyOf("meta"), metaUser).Err() }))
}

func (s *Store) userDigests(ctx context.Context) ([]string, error) {
	meta, err := s.Meta(ctx)
	return strings.Fields(meta[metaUser]), err
}

func (s *Store) isUserLost(ctx context.Context) (lost bool, err error) {
	answers := make(chan bool, 1)
	err = s.runOnEachMaster(ctx, "look for the run's user", func(ctx context.Context, master *redis.Client) error {
		// Not the client's ACLGetUser: it cannot parse the answer of every version.
		err := master.Do(ctx, "ACL", "GETUSER", s.userName()).Err()
		if errors.Is(err, redis.Nil) {
			select {
			case answers <- true:
			default:
			}
			return nil
		}
		return err
	})
	return len(answers) > 0, err
}

func (s *Store) createUser(ctx context.Context, digests []string) error {
	return s.runOnEachMaster(ctx, "create the run's user", func(ctx context.Context, master *redis.Client) error {
		err := master.ACLSetUser(ctx, s.userName(), userRules(s.run, digests, s.serverVersion(ctx, master))...).Err()
		if isACLUnsupported(err) {
			return fmt.Errorf("%w: %w", ErrNoUsers, err)
		}
		return err
	})
}

// serverVersion returns major and minor version, or 7.0, the oldest supported one, if the server does not report it.
func (s *Store) serverVersion(ctx context.Context, master *redis.Client) [2]int {
	info, err := master.Info(ctx, "server").Result()
	parts := strings.Split(infoField(info, "redis_version"), ".")
	if err != nil || len(parts) < 2 {
		return [2]int{7, 0}
	}
	major, majorErr := strconv.Atoi(parts[0])
	minor, minorErr := strconv.Atoi(parts[1])
	if errors.Join(majorErr, minorErr) != nil {
		return [2]int{7, 0}
	}
	return [2]int{major, minor}
}

// userRules returns the ACL rules for the agents of a run. A server rejects all of them if it does not know one of the commands.
func userRules(run string, digests []string, version [2]int) []string {
	rules := []string{"reset", "on", "~" + prefix + run + ":*", "&" + prefix + run + ":*", "-@all"}
	for _, digest := range digests {
		rules = append(rules, "#"+digest)
	}
	for _, command := range []string{"get", "set", "exists", "hset", "hget", "expireat", "publish", "subscribe", "unsubscribe", "ping", "time", "hello", "auth", "select", "command", "cluster|slots", "cluster|shards", "cluster|nodes"} {
		rules = append(rules, "+"+command)
	}
	if version[0] > 7 || version[0] == 7 && version[1] >= 2 {
		rules = append(rules, "+client|setinfo") // newer clients send it when they connect
	}
	return rules
}

// isACLUnsupported reports whether the error means that the server or our user cannot create users.
func isACLUnsupported(err error) bool {
	return err != nil && (hasPrefix(err.Error(), "NOPERM") || strings.Contains(strings.ToLower(err.Error()), "unknown command"))
}

// runOnEachMaster runs a command on every master, with retries.
func (s *Store) runOnEachMaster(ctx context.Context, what string, command func(context.Context, *redis.Client) error) error {
	return s.runCommand(ctx, what, func(ctx context.Context) error { return eachMaster(ctx, s.redis, command) })
}
