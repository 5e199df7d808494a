package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// connectRun returns the configuration of the step's run, after checking that Redis answers and accepts the password.
func connectRun(ctx context.Context, a access, step Step) (config files.Config, err error) {
	client, err := a.connectRedis()
	if err != nil {
		return config, err
	}
	config = files.Config{Redis: client, Run: step.Run, Deadline: step.deadlineTime(), Patience: time.Duration(step.Patience) * time.Second, UserReturns: a.hasOwnUser(step.Run)}
	hello, err := files.Open(config)
	if err != nil {
		return config, err
	}
	if err := hello.Ping(ctx); err != nil {
		return config, err
	}
	// Compare with the clock of the server, because the clock of a node may be wrong.
	if !step.deadlineTime().After(hello.Now(ctx)) {
		return config, fmt.Errorf("the files of run %s expired at %s; start a new run", step.Run, step.deadlineTime().UTC().Format(time.RFC3339))
	}
	return config, nil
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
		return "files of this run are lost: start a new run"
	case errors.Is(err, files.ErrNewer):
		return "use an agent image of the provider's version"
	}
	return ""
}
