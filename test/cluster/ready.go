package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// patience is the limit of each wait. On an idle machine each takes seconds; on one that compiles with all its
// processors and swaps, minutes.
const patience = 4 * time.Minute

// await asks again until the answer is nil. It ends early when a process of the cluster ends, and shows the
// logs that tell why.
func await(ctx context.Context, what string, processes []process, logs []string, ask func(context.Context) error) error {
	ctx, stop := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not there within %s", patience))
	defer stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		for _, p := range processes {
			if !p.alive() {
				return fmt.Errorf("%s: %s has ended%s", what, p, allLastLines(logs))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w; the last answer: %w%s", what, context.Cause(ctx), err, allLastLines(logs))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func allLastLines(logs []string) string {
	var all string
	for _, l := range logs {
		all += lastLines(l)
	}
	return all
}

// adminClient reads the API with the administrator's certificate. It is no client-go: three questions do not
// need a second Kubernetes client in the launcher.
type adminClient struct {
	http   *http.Client
	server string
}

func newAdminClient(c cluster) (*adminClient, error) {
	cert, err := tls.LoadX509KeyPair(c.path("pki/admin.crt"), c.path("pki/admin.key"))
	if err != nil {
		return nil, err
	}
	pool, err := readPool(c.path("pki/ca.crt"))
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, RootCAs: pool}}
	return &adminClient{http: &http.Client{Timeout: 10 * time.Second, Transport: transport}, server: c.server()}, nil
}

// get wants 200 and gives the body.
func (a *adminClient) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.server+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return b, nil
}

// nodeObject is what readiness needs of a Node.
type nodeObject struct {
	Spec struct {
		Taints []struct{ Key string }
	}
	Status struct {
		Conditions []struct {
			Type, Status, Message string
			LastHeartbeatTime     time.Time
		}
	}
}

// nodeReady is nil when the Node takes pods. The stored Node of an earlier start still says Ready: only a
// heartbeat since this start counts.
func nodeReady(object []byte, start time.Time) error {
	var n nodeObject
	if err := json.Unmarshal(object, &n); err != nil {
		return fmt.Errorf("read the node: %w", err)
	}
	for _, c := range n.Status.Conditions {
		switch {
		case c.Type != "Ready":
		case c.LastHeartbeatTime.Before(start.Truncate(time.Second)): // the API has no fractions
			return errors.New("no heartbeat since this start")
		case c.Status != "True":
			return errors.New(c.Message)
		case len(n.Spec.Taints) > 0:
			return fmt.Errorf("the node has the taint %s", n.Spec.Taints[0].Key)
		default:
			return nil
		}
	}
	return errors.New("the node has no condition Ready")
}
