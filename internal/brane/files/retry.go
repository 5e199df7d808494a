package files

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Pauses between two tries of one command. The first is short for a connection that was just closed, the last one is long enough not to
// burden a server that restarts.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
)

// defaultPatience is long enough for a restart of Redis.
const defaultPatience = 2 * time.Minute

// retrier repeats commands.
type retrier struct {
	patience    time.Duration // how long a command may fail
	silence     time.Duration // how long it may fail without an answer of a server; 0 means patience
	isTransient func(error) bool
	outage      *outage // collects which commands fail; may be nil
}

// run runs one command until it succeeds, fails permanently, or has failed for too long.
func (r retrier) run(ctx context.Context, command func(context.Context) error) (err error) {
	var failing, silent time.Time
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		sent := time.Now()
		err = command(ctx)
		if err == nil || errors.Is(err, redis.Nil) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w (last answer: %w)", context.Cause(ctx), translateError(err))
		}
		if failing.IsZero() {
			failing = time.Now()
			r.outage.beginFailure(sent)
			defer func() { r.outage.endFailure(err == nil || errors.Is(err, redis.Nil)) }()
		}
		if isReply(err) {
			silent = time.Time{}
		} else if silent.IsZero() {
			silent = time.Now()
		}
		isSilent := r.silence > 0 && !silent.IsZero() && time.Since(silent) > r.silence-pause
		if !r.isTransient(err) || isSilent || time.Since(failing) > r.patience-pause {
			return translateError(err)
		}
		r.outage.continueFailure(translateError(err), time.Now())
		// The jitter spreads the retries of many steps.
		timer := time.NewTimer(pause/2 + rand.N(pause/2)) //nolint:gosec // no secret depends on it
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w (last answer: %w)", context.Cause(ctx), translateError(err))
		}
	}
}

// transientReplies are the beginnings of a server's answers that do not last: it starts, is not the master any more, has too few replicas
// or clients too many, cannot write its snapshot, or a Cluster moves a slot for longer than the client follows.
var transientReplies = []string{
	"LOADING", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "READONLY", "NOREPLICAS", "MISCONF", "MOVED", "ASK", "BUSY ", "ERR max number of clients",
}

// isReply reports whether an error is an answer of a server.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

// isTransient reports whether the same command may succeed a moment later.
func isTransient(err error) bool {
	var reply redis.Error
	if errors.As(err, &reply) {
		return hasPrefix(reply.Error(), transientReplies...)
	}
	return !isPermanent(err)
}

// isPermanent reports whether the error of a connection is one of the few that a retry cannot solve.
func isPermanent(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var network *net.OpError
	alert := errors.As(err, &network) && network.Op == "remote error" // crypto/tls reports an alert of the other side so
	return errors.Is(err, redis.ErrClosed) || errors.As(err, &verification) || errors.As(err, &authority) || alert ||
		strings.Contains(err.Error(), "buffer too small")
}

// translateError adds the error of this package that a server's answer means.
func translateError(err error) error {
	var reply redis.Error
	if !errors.As(err, &reply) {
		if errors.Is(err, context.Canceled) || errors.Is(err, redis.ErrClosed) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	switch text := reply.Error(); {
	case hasPrefix(text, "NOAUTH", "WRONGPASS", "ERR invalid password", "ERR AUTH", "ERR Client sent AUTH"):
		return fmt.Errorf("%w: %w", ErrPassword, err)
	case hasPrefix(text, "NOPERM"):
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	case hasPrefix(text, "OOM"):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func hasPrefix(text string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}
