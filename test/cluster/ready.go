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

// patience is the limit of each wait. On an idle machine a wait takes seconds, on one that compiles and swaps it takes
// minutes.
const patience = 4 * time.Minute

// endedError is returned when a program of the cluster ends during a wait.
type endedError struct{ process process }

func (e *endedError) Error() string { return e.process.String() + " has ended" }

// await calls ask until it returns nil. It returns early when a program of the cluster ends. The error contains the end
// of the log of the program that ended, otherwise of the programs that it waits for.
func (s *start) await(ctx context.Context, what string, programs []string, ask func(context.Context) error) error {
	limited, stop := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not ready within %s", patience))
	defer stop()
	watched, end := context.WithCancelCause(limited)
	defer end(nil)
	// Concurrently, because ask may hang when a program has ended.
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

// watchProcesses cancels the wait when one of the processes ends. It returns when ctx ends.
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

// explain returns the error of a failed wait.
func (s *start) explain(ctx context.Context, what string, programs []string, cause, answer error) error {
	if ctx.Err() != nil { // after Ctrl-C, no logs are shown
		return fmt.Errorf("wait for %s: %w", what, context.Cause(ctx))
	}
	err := fmt.Errorf("%s: %w; last error: %w", what, cause, answer)
	var ended *endedError
	if errors.As(cause, &ended) {
		err = fmt.Errorf("%s: %w", what, cause)
		programs = []string{ended.process.Name}
	}
	for _, p := range programs {
		err = fmt.Errorf("%w%s", err, lastLines(s.log(p)))
		if p == "node" { // its log names the program that ended, whose log contains the reason
			err = fmt.Errorf("%w%s%s", err, lastLines(s.log("containerd")), lastLines(s.log("kubelet")))
		}
	}
	return err
}

// adminClient reads from the API with the administrator's certificate. It does not use client-go, which would be a large
// dependency for three requests.
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

// get returns the body of a response with status 200.
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

// nodeObject contains the fields of a Node that nodeReady needs.
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

// nodeReady returns nil if the Node accepts pods. The Node that is stored from an earlier start is still Ready, so a
// heartbeat since this start is required.
func nodeReady(object []byte, start time.Time) error {
	var n nodeObject
	if err := json.Unmarshal(object, &n); err != nil {
		return fmt.Errorf("read the node: %w", err)
	}
	for _, c := range n.Status.Conditions {
		switch {
		case c.Type != "Ready":
		case c.LastHeartbeatTime.Before(start.Truncate(time.Second)): // times in the API have no fractions of seconds
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
