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

// endedError says that a program of the cluster ended while something waited for it.
type endedError struct{ process process }

func (e *endedError) Error() string { return e.process.String() + " has ended" }

// await asks again until the answer is nil. It ends early when a program of the cluster ends. The error shows the
// end of the logs that tell why: those of the program that ended, else those of the programs it waits for.
func (s *start) await(ctx context.Context, what string, programs []string, ask func(context.Context) error) error {
	limited, stop := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not there within %s", patience))
	defer stop()
	watched, end := context.WithCancelCause(limited)
	defer end(nil)
	// Beside the questions: an answer may hang exactly because a program ended.
	go watchProcesses(watched, s.claim.Processes, end)
	for {
		err := ask(watched)
		if err == nil {
			return nil
		}
		select {
		case <-watched.Done():
			return s.explain(ctx, what, programs, context.Cause(watched), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// watchProcesses ends the wait when one of the processes ends. It returns when the wait is over.
func watchProcesses(ctx context.Context, processes []process, end context.CancelCauseFunc) {
	for ctx.Err() == nil {
		for _, p := range processes {
			if !p.alive() {
				end(&endedError{p})
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// explain makes the sentence of a wait that ended without what it waited for.
func (s *start) explain(ctx context.Context, what string, programs []string, cause, answer error) error {
	if ctx.Err() != nil { // someone pressed Ctrl-C: that needs no logs
		return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
	}
	err := fmt.Errorf("%s: %w; its last answer: %w", what, cause, answer)
	var ended *endedError
	if errors.As(cause, &ended) {
		err = fmt.Errorf("%s: %w", what, cause)
		programs = []string{ended.process.Name}
	}
	for _, p := range programs {
		err = fmt.Errorf("%w%s", err, lastLines(s.log(p)))
		if p == "node" { // it tells which of its two programs ended, they tell why
			err = fmt.Errorf("%w%s%s", err, lastLines(s.log("containerd")), lastLines(s.log("kubelet")))
		}
	}
	return err
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
