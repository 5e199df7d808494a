package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// An API server that is started anew answers again within half a minute; one that is still away after this is away for longer.
const (
	patience   = 90 * time.Second
	firstPause = 200 * time.Millisecond
	longPause  = 5 * time.Second
)

// Persist tries a request again while the API server is away or too busy; client-go by itself tries again only what the server has told it to. What is
// tried must be harmless to do twice.
func (c *Client) Persist(ctx context.Context, try func() error) error {
	ctx, done := context.WithTimeoutCause(ctx, patience, errAway)
	defer done()
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := try()
		if err == nil || !c.MayPass(err) {
			return err
		}
		wait := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			wait.Stop()
			if cause := context.Cause(ctx); !errors.Is(err, cause) && !errors.Is(cause, errAway) {
				return errors.Join(cause, err)
			}
			return err
		case <-wait.C:
		}
	}
}

var errAway = errors.New("the API server was away for too long")

// MayPass says whether an error may pass by itself: the server is away or too busy, or has just been away.
func (c *Client) MayPass(err error) bool { return passing(err) || refused(err) && c.justAway() }

// refused says whether the server has refused the account. One that has just started refuses everybody but administrators.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// passing says whether an error is of a server that is away, or too busy.
func passing(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		switch status.Status().Code {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || connectionLost(err) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// starting is how long after it was away an API server may still refuse what it will allow: it answers before it has read who may do what.
const starting = 30 * time.Second

// justAway says whether the API server was unreachable a moment ago.
func (c *Client) justAway() bool { return time.Since(time.Unix(0, c.away.Load())) < starting }
