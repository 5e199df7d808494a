//go:build long

package engine_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// A step fails while the watches are cut, and etcd is compacted: the watches cannot continue (410 Expired), and miss nothing. The API
// server has no watch cache for Jobs and Pods here, so etcd rejects the watches.
func TestLongCompaction(t *testing.T) {
	cluster := clustertest.Another(t, "40")
	server := cluster.Program(t, "kube-apiserver")
	server.Kill()
	server.Recover("--watch-cache-sizes=jobs.batch#0,pods#0")
	l := labOn(t, cluster)
	pods := func(labels string) (list corev1.PodList, err error) {
		err = l.Admin.List(t.Context(), &list, l.Namespace, labels)
		return list, err
	}
	testenv.AwaitTrue(t, "the API server", func() bool {
		_, err := pods("")
		return err == nil
	})
	run := l.NewRun(l.Step("first", "true"), l.Step("fails", l.Wait()+"; exit 3", "first"), l.Step("never", "true", "fails"))
	watches := &watchers{open: map[io.Closer]bool{}}
	config, err := kube.Connection{ConfigPath: cluster.Kubeconfig}.Config()
	if err != nil {
		t.Fatal(err)
	}
	run.Clients.Kube = runtest.NewClientWith(t, config, watches.roundTrip)
	ended := runtest.Execute(t.Context(), run)
	testenv.Receive(t, "the step", l.Counter.Arrived)

	watches.cut(true)
	l.Counter.Release()
	testenv.AwaitTrue(t, "the pod to fail", func() bool {
		list, err := pods(workflow.RunLabel + "=" + run.Spec.ID + "," + workflow.StepLabel + "=fails")
		return err == nil && len(list.Items) == 1 && list.Items[0].Status.Phase == corev1.PodFailed
	})
	compact(t, cluster)
	watches.cut(false)
	end := testenv.Receive(t, "the end", ended)
	if end.Err != nil || len(end.Result.Failures) != 1 || end.Result.Failures[0].Code != 3 || end.Result.Steps["never"].Status != workflow.Skipped {
		t.Errorf("the run ended with %+v, %v", end.Result, end.Err)
	}
	if watches.expired.Load() == 0 {
		t.Error("no watch has expired")
	}
	if n := l.Counter.Count("first"); n != 1 {
		t.Errorf("the first step ran %d times", n)
	}
}

// labOn returns a lab on another cluster.
func labOn(t *testing.T, cluster clustertest.Cluster) *runtest.Lab {
	t.Helper()
	store, err := files.Dial(cluster.Variable(t, "BRANE_REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return runtest.NewOn(t, cluster.Client, "default", store, func(name string) string { return cluster.Variable(t, name) })
}

// watchers lets a test cut the watches of a client, and counts those that were rejected with 410 Expired.
type watchers struct {
	expired atomic.Int64
	mu      sync.Mutex
	off     bool
	open    map[io.Closer]bool
}

func (w *watchers) cut(off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.off = off
	for body := range w.open {
		_ = body.Close() // cuts the watch
	}
	clear(w.open)
}

func (w *watchers) isOff() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.off
}

func (w *watchers) roundTrip(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	if !request.URL.Query().Has("watch") {
		return next.RoundTrip(request)
	}
	if w.isOff() {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED} // after which the watch continues where it was
	}
	response, err := next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body := &watched{response.Body, w}
	response.Body = body
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[body] = true
	return response, nil
}

// watched is the stream of one watch.
type watched struct {
	io.ReadCloser
	of *watchers
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if bytes.Contains(p[:n], []byte(metav1.StatusReasonExpired)) {
		w.of.expired.Add(1)
	}
	if w.of.isOff() {
		err = io.EOF // as the API server ends a watch
	}
	return n, err
}

// compact compacts the etcd of the cluster, with a request in JSON and the certificate of the API server.
func compact(t *testing.T, cluster clustertest.Cluster) {
	t.Helper()
	dir := filepath.Dir(cluster.Kubeconfig)
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, "pki/apiserver-client.crt"), filepath.Join(dir, "pki/apiserver-client.key"))
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(dir, "pki/ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate}, RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	server, err := url.Parse(cluster.Client.Host())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(what, body string, answer any) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+server.Hostname()+":2379/v3/kv/"+what, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close() // it was only read
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("etcd answers %s: %s (%v)", response.Status, text, err)
		}
		if err := json.Unmarshal(text, answer); err != nil {
			t.Fatal(err)
		}
	}
	var now struct{ Header struct{ Revision string } }
	ask("range", `{"key":"AA=="}`, &now)
	ask("compaction", fmt.Sprintf(`{"revision":%q,"physical":true}`, now.Header.Revision), &struct{}{})
}
