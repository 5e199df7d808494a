//go:build unix

package kube

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// pluginClient returns a client whose credential is printed by a shell script. The API server accepts the tokens that are valid at that moment.
func pluginClient(t *testing.T, script string, accepts func(authorization string) bool) *Client {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !accepts(r.Header.Get("Authorization")) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}`)
			return
		}
		fmt.Fprint(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"compute"}}`)
	}))
	t.Cleanup(server.Close)
	config, err := Connection{
		Host: server.URL, ClusterCACertificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		Exec: &Exec{APIVersion: "client.authentication.k8s.io/v1", Command: "/bin/sh", Args: []string{"-c", script}},
	}.Config()
	if err != nil {
		t.Fatal(err)
	}
	client, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func getCompute(ctx context.Context, c *Client) error {
	return c.Get(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "compute"}})
}

const printToken = `echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"'$token'"EXPIRY}}'`

func TestPluginIsRunOncePerCredential(t *testing.T) {
	t.Parallel()
	calls := filepath.Join(t.TempDir(), "calls")
	count := func() int {
		text, _ := os.ReadFile(calls)
		return strings.Count(string(text), "\n")
	}
	script := "echo >> " + calls + "; token=t$(wc -l < " + calls + " | tr -d ' '); " + strings.Replace(printToken, "EXPIRY", "", 1)
	valid := "Bearer t1"
	c := pluginClient(t, script, func(authorization string) bool { return authorization == valid })
	for range 3 {
		if err := getCompute(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if count() != 1 {
		t.Errorf("the plugin was run %d times", count())
	}
	valid = "Bearer t2" // the first token is revoked
	if err := getCompute(t.Context(), c); err == nil {
		t.Error("the revoked token was accepted")
	}
	if err := getCompute(t.Context(), c); err != nil || count() != 2 {
		t.Errorf("%v after %d calls", err, count())
	}
	expired := pluginClient(t, strings.Replace(script, "}}", `,"expirationTimestamp":"2020-01-01T00:00:00Z"}}`, 1), func(string) bool { return true })
	for range 2 {
		if err := getCompute(t.Context(), expired); err != nil {
			t.Fatal(err)
		}
	}
	if count() != 4 {
		t.Errorf("an expired credential was kept: %d calls", count())
	}
}

func TestPluginErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ script, want string }{
		"its last lines":  {"for i in $(seq 30); do echo line $i >&2; done; echo 'You do not have an active account. Run gcloud auth login' >&2; exit 1", "exit status 1; its last output was:\nline 22\n"},
		"its last line":   {"echo 'Run gcloud auth login' >&2; exit 1", `the exec plugin "/bin/sh" returned no credential: exit status 1; its last output was:` + "\nRun gcloud auth login"},
		"no output":       {"exit 3", "returned no credential: exit status 3"},
		"another output":  {"echo s3cret", "its output is not an ExecCredential"},
		"another version": {strings.Replace(strings.Replace(printToken, "k8s.io/v1", "k8s.io/v1beta1", 1), "EXPIRY", "", 1), "its output is"},
		"an empty status": {`echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}'`, "neither a token nor a client certificate"},
		"no such command": {"no-such-command-of-any-kind", "not found"},
		"half a key pair": {`echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"clientCertificateData":"s3cret"}}'`, "its client certificate is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			err := getCompute(t.Context(), pluginClient(t, tt.script, func(string) bool { return true }))
			var failed *PluginError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestPluginIsStopped(t *testing.T) {
	t.Parallel()
	pids := filepath.Join(t.TempDir(), "pid")
	c := pluginClient(t, "echo 'open https://login.example.org' >&2; sleep 1000 & echo $! > "+pids+".new; mv "+pids+".new "+pids+"; wait", func(string) bool { return true })
	sent := countRequests(t, c)
	ctx, stop := context.WithCancelCause(t.Context())
	failed := make(chan error, 2)
	for range 2 { // the second request waits for the first
		go func() { failed <- getCompute(ctx, c) }()
	}
	var text []byte
	testenv.AwaitTrue(t, "the plugin to start", func() bool {
		text, _ = os.ReadFile(pids)
		return len(text) > 0
	})
	testenv.AwaitTrue(t, "both requests to need the plugin", func() bool { return sent.Load() == 2 })
	stop(errors.New("not finished after 15s"))
	for range 2 {
		if err := <-failed; !strings.Contains(err.Error(), "does not answer") || !strings.Contains(err.Error(), "not finished after 15s") {
			t.Errorf("got %v", err)
		}
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	testenv.AwaitTrue(t, "the plugin's child to end", func() bool { return !isRunning(child) })
}

// countRequests counts the requests of a client that get to the transport of the plugin, which does not return before they have its credential.
func countRequests(t *testing.T, c *Client) *atomic.Int32 {
	t.Helper()
	core, ok := c.groups[corev1.SchemeGroupVersion].(*rest.RESTClient)
	if !ok {
		t.Fatalf("the client of the core group is a %T", c.groups[corev1.SchemeGroupVersion])
	}
	counting := &countingTransport{next: core.Client.Transport}
	core.Client.Transport = counting
	return &counting.sent
}

type countingTransport struct {
	next http.RoundTripper
	sent atomic.Int32
}

func (t *countingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	t.sent.Add(1)
	return t.next.RoundTrip(request)
}

// isRunning reports whether a process exists that is not only waiting to be reaped.
func isRunning(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && !strings.Contains(string(status), "State:\tZ") && syscall.Kill(pid, 0) == nil
}
