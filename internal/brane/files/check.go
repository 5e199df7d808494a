package files

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// checkPatience is how long a check waits for the first answer. It is short, as the address may be wrong and a user waits for the answer, but
// long enough for a server that was just started.
const checkPatience = 3 * time.Second

// checking repeats the commands of a check. Once a server has answered, they are repeated like all others: it starts, or its Cluster fails over.
var checking = retrier{patience: defaultPatience, isTransient: isTransient}

// Check checks a server before anything is stored on it: it answers, accepts the user, permits what the package needs, and keeps what is
// stored. [ErrEvicts] is returned last, so that everything else is fine if the caller continues in spite of it.
func Check(ctx context.Context, client redis.UniversalClient) (warnings []string, err error) {
	first := checking
	first.silence = checkPatience
	if err := first.run(ctx, func(ctx context.Context) error { return client.Ping(ctx).Err() }); err != nil {
		return nil, fmt.Errorf("check redis: %w", err)
	}
	var tooOld, evicts error
	var mu sync.Mutex // the masters of a Cluster are asked concurrently
	found := map[string]bool{}
	warn := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		found[text] = true
	}
	visit := func(ctx context.Context, master *redis.Client) error {
		info, err := master.Info(ctx).Result()
		switch {
		case err != nil && errors.Is(translateError(err), ErrForbidden):
			warn("the redis user may not run INFO, so the version, memory policy and persistence of the server were not checked")
			return nil
		case err != nil:
			return err
		}
		if err := checkVersion(infoField(info, "redis_version")); err != nil {
			mu.Lock()
			defer mu.Unlock()
			tooOld = err
			return nil
		}
		if late := clockSkew(ctx, master); late.Abs() >= maxSkew {
			warn(fmt.Sprintf("the clocks of redis and of the client differ by %s: the files of a run expire too early or too late by as much", late.Abs().Round(time.Second)))
		}
		if infoField(info, "aof_enabled") == "0" {
			switch save, err := master.ConfigGet(ctx, "save").Result(); {
			case err != nil && (!isReply(err) || isTransient(err)):
				return err
			case err != nil: // managed services reject CONFIG
				warn("the redis user may not run CONFIG GET, so it was not checked whether redis saves snapshots; it has no append-only file")
			case save["save"] == "":
				warn("redis persists nothing on disk (no append-only file, no snapshots): files and results are lost when it restarts")
			default:
				warn("redis has snapshots, but no append-only file: when it restarts, it loses the files and results that were written after the last snapshot; set appendonly yes")
			}
		}
		if policy := infoField(info, "maxmemory_policy"); infoNumber(info, "maxmemory") > 0 && policy != "noeviction" {
			// This includes volatile-*: every key of a run has a deadline.
			mu.Lock()
			defer mu.Unlock()
			evicts = fmt.Errorf("check redis: %w: its maxmemory-policy is %s, and only noeviction keeps every file; set it with CONFIG SET maxmemory-policy noeviction", ErrEvicts, policy)
		}
		return nil
	}
	// All masters are asked again, because in a fail-over they become others.
	err = checking.run(ctx, func(ctx context.Context) error { return eachMaster(ctx, client, visit) })
	warnings = slices.Sorted(maps.Keys(found))
	if err = cmp.Or(tooOld, err); err != nil {
		return warnings, fmt.Errorf("check redis: %w", err)
	}
	if err := checkPermissions(ctx, client); err != nil {
		return warnings, fmt.Errorf("check redis: %w", err)
	}
	return warnings, evicts
}

func checkVersion(version string) error {
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err == nil && n < 7 {
		return fmt.Errorf("%w: it is version %s, and 7.0 or later is required", ErrTooOld, version)
	}
	return nil
}

// maxSkew is how far two clocks may differ without a warning; a minute does not matter for the shortest retention.
const maxSkew = time.Minute

// clockSkew returns how far the server's clock is ahead of ours, 0 if the user may not ask. The deadline of a run's keys is a point in
// time.
func clockSkew(ctx context.Context, client redis.Cmdable) time.Duration {
	before := time.Now()
	theirs, err := client.Time(ctx).Result()
	if err != nil {
		return 0
	}
	return theirs.Sub(before.Add(time.Since(before) / 2))
}

// trial is a command that a run needs.
type trial struct {
	name, on string
	send     func(context.Context, redis.Pipeliner)
}

// checkPermissions runs once, on keys of no run, the commands that a run uses. It leaves out HDEL, which only removes the record of a run's user
// earlier than the run.
func checkPermissions(ctx context.Context, client redis.UniversalClient) error {
	name := prefix + "check:{" + strings.ToLower(rand.Text()) + "}" // one slot of a Cluster
	text, hash, copied := name+":text", name+":hash", name+":copied"
	soon := time.Now().Add(time.Minute)
	const key, channel = "a key", "a channel"
	// Commands that write are run only after it is known that their keys can be removed.
	if err := runTrials(ctx, client, []trial{
		{"GET", key, func(ctx context.Context, p redis.Pipeliner) { p.Get(ctx, text) }},
		{"EXISTS", key, func(ctx context.Context, p redis.Pipeliner) { p.Exists(ctx, text) }},
		{"STRLEN", key, func(ctx context.Context, p redis.Pipeliner) { p.StrLen(ctx, text) }},
		{"HGET", key, func(ctx context.Context, p redis.Pipeliner) { p.HGet(ctx, hash, "field") }},
		{"HGETALL", key, func(ctx context.Context, p redis.Pipeliner) { p.HGetAll(ctx, hash) }},
		{"PERSIST", key, func(ctx context.Context, p redis.Pipeliner) { p.Persist(ctx, text) }},
		{"EXPIREAT", key, func(ctx context.Context, p redis.Pipeliner) { p.ExpireAt(ctx, hash, soon) }},
		{"UNLINK", key, func(ctx context.Context, p redis.Pipeliner) { p.Unlink(ctx, text) }},
		{"SCAN", key, func(ctx context.Context, p redis.Pipeliner) { p.Scan(ctx, 0, text, 1) }},
		{"PUBLISH", channel, func(ctx context.Context, p redis.Pipeliner) { p.Publish(ctx, name, "") }},
	}); err != nil {
		return err
	}
	writing := []trial{
		{"SET", key, func(ctx context.Context, p redis.Pipeliner) {
			p.SetArgs(ctx, text, "1", redis.SetArgs{Mode: "NX", Get: true, ExpireAt: soon})
		}},
		{"HSET", key, func(ctx context.Context, p redis.Pipeliner) { p.HSet(ctx, hash, "field", "1") }},
	}
	if _, cluster := client.(*redis.ClusterClient); !cluster { // see copyChunks
		writing = append(writing, trial{"COPY", key, func(ctx context.Context, p redis.Pipeliner) { p.Copy(ctx, text, copied, databaseOf(client), false) }})
	}
	for _, written := range []string{text, hash, copied} {
		writing = append(writing, trial{"UNLINK", key, func(ctx context.Context, p redis.Pipeliner) { p.Unlink(ctx, written) }})
	}
	if err := runTrials(ctx, client, writing); err != nil {
		return err
	}
	err := checking.run(ctx, func(ctx context.Context) error {
		subscription := client.Subscribe(ctx, name)
		defer subscription.Close() // nothing was written
		_, err := subscription.ReceiveTimeout(ctx, checkPatience)
		return err
	})
	if err != nil {
		return fmt.Errorf("run SUBSCRIBE on a channel that begins with %q: %w", prefix, err)
	}
	return nil
}

// runTrials runs the commands in one round trip.
func runTrials(ctx context.Context, client redis.UniversalClient, trials []trial) error {
	var failed trial
	err := checking.run(ctx, func(ctx context.Context) error {
		answers, _ := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, t := range trials {
				t.send(ctx, p)
			}
			return nil
		}) // each answer has its own error
		for i, answer := range answers {
			if err := answer.Err(); err != nil && !errors.Is(err, redis.Nil) {
				failed = trials[i]
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("run %s on %s that begins with %q: %w", failed.name, failed.on, prefix, err)
	}
	return nil
}
