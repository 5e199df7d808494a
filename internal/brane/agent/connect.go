package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// connectRun returns the configuration of the step's run, after checking that Redis answers and accepts the password. A Redis that the pod
// has not reached yet is waited for as long as the patience lasts, because the address may be wrong. After that the agent waits until the
// container is asked to stop: what a command has computed is worth more than the time. It passes lines about that to say.
func connectRun(ctx context.Context, a access, step Step, hasConnected bool, say func(text string)) (config files.Config, err error) {
	client, err := a.connectRedis()
	if err != nil {
		return config, err
	}
	config = files.Config{
		Redis: client, Run: step.Run, Deadline: step.deadlineTime(), Patience: time.Duration(step.Patience) * time.Second,
		Parallel:    step.Connections,
		Skipped:     reportSkipped(say),
		UserReturns: a.hasOwnUser(step.Run, files.DatabaseOf(client)), Waiting: func(since time.Time, err error) { say(describeWaiting(time.Since(since), err)) },
	}
	patient := config
	if step.Patience == 0 {
		patient.Patience = files.Endless
	}
	if hasConnected {
		config = patient
	}
	hello, err := files.Open(config)
	if err != nil {
		return config, err
	}
	if err := hello.Ping(ctx); err != nil {
		return config, err
	}
	// Compare with the clock of the server, because the clock of a node may be wrong.
	now := hello.Now(ctx)
	if patient.Deadline, err = latestDeadline(ctx, hello, patient.Deadline, now); err != nil {
		return config, err
	}
	if !patient.Deadline.After(now) {
		return config, fmt.Errorf("the files of run %s expired at %s; apply again", step.Run, patient.Deadline.UTC().Format(time.RFC3339))
	}
	return patient, nil
}

// nearDeadline is the time before the deadline of a step's Job from which on the agent asks for a later one: storing files takes a while.
const nearDeadline = 10 * time.Minute

// latestDeadline returns the deadline with which a step stores its files. That of its Job is the one of the execution that has created it; if it is near, a
// later execution, which continues the Job, may have another one.
func latestDeadline(ctx context.Context, store *files.Store, known, now time.Time) (time.Time, error) {
	if now.Before(known.Add(-nearDeadline)) {
		return known, nil
	}
	last, err := store.LastDeadline(ctx)
	if err != nil || last.Before(known) {
		return known, err
	}
	return last, nil
}

// reportSkipped returns a function that passes a line about each file that is not stored to say, once: the files are stored again if Redis has
// lost some of them.
func reportSkipped(say func(text string)) func(path, kind string) {
	said := map[string]bool{}
	return func(path, kind string) {
		if !said[path] {
			say(fmt.Sprintf("%q is a %s: it is not stored", path, kind))
		}
		said[path] = true
	}
}

// describeWaiting returns a line about a Redis that has not answered for a time, or answers again if there is no error.
func describeWaiting(took time.Duration, err error) string {
	if took = took.Round(time.Second); err == nil {
		return fmt.Sprintf("redis answers again, after %s", took)
	}
	return fmt.Sprintf("waits for redis, for %s so far: %v", took, err)
}

// describeRemedy returns what to do about an error.
func describeRemedy(err error) string {
	var conflict *files.ConflictError
	switch {
	case errors.As(err, &conflict):
		return "let one of them need the other, or write to other paths"
	case errors.Is(err, files.ErrPassword):
		return "check user and password in redis.pod_url"
	case errors.Is(err, files.ErrForbidden):
		return "give the Redis user the permissions that the guide on the format lists"
	case errors.Is(err, files.ErrUnreachable):
		return "check that pods reach redis.pod_url (address, NetworkPolicy, TLS)"
	case errors.Is(err, files.ErrFull):
		return "give Redis more memory (maxmemory), or let the step write less"
	case errors.Is(err, files.ErrGone):
		return "files of this run are lost: apply again"
	case errors.Is(err, files.ErrNewer):
		return "use an agent image of the provider's version"
	}
	return ""
}
