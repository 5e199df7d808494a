package kube_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, tt := range map[string]struct {
		config rest.Config
		want   bool
	}{
		"nobody listens":                       {rest.Config{Host: "http://127.0.0.1:1"}, true},
		"nobody has that name":                 {rest.Config{Host: "http://nobody.invalid"}, true},
		"nobody answers":                       {rest.Config{Host: "http://" + newSilent(t).Addr().String()}, true},
		"it refuses":                           {rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}, false},
		"its certificate is of somebody else":  {rest.Config{Host: server.URL}, false},
		"its certificate is of another server": {rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{CAData: ca, ServerName: "other"}}, false},
		"it speaks no TLS":                     {rest.Config{Host: strings.Replace(plain.URL, "http:", "https:", 1)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, &tt.config)
			ctx, done := context.WithTimeout(t.Context(), 2*time.Second)
			defer done()
			err := client.Get(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
			if err == nil || kube.Unreachable(err) != tt.want {
				t.Errorf("unreachable is %t: %v", !tt.want, err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client := newClient(t, &rest.Config{Host: "http://" + newSilent(t).Addr().String()})
	if err := client.Get(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "x"}}); kube.Unreachable(err) || kube.Unreachable(nil) {
		t.Errorf("what the user has cancelled counts, or nothing: %v", err)
	}
}

func newClient(t *testing.T, config *rest.Config) *kube.Client {
	t.Helper()
	client, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// An API server that takes connections and never answers is waited for once, by those who ask at the same time.
func TestSnapshotOfAServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	silent := newSilent(t)
	client := newClient(t, &rest.Config{Host: "http://" + silent.Addr().String()})
	snapshot, err := kube.NewSnapshot(client, "snapshot=x", &corev1.ConfigMapList{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context) error {
		return snapshot.Get(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "x"}})
	}
	patient, done := context.WithTimeoutCause(t.Context(), time.Second, errors.New("not finished after a second"))
	defer done()
	var group sync.WaitGroup
	answers := make([]error, 11)
	for i := range 10 {
		group.Go(func() { answers[i] = ask(patient) })
	}
	group.Wait()
	answers[10] = ask(t.Context())
	for i, err := range answers {
		if !kube.Unreachable(err) || !strings.Contains(err.Error(), "not finished after a second") {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	if got := silent.connections(); got != 3 {
		t.Errorf("%d connections for 11 reads; two go to the server one by one, the third lists, and all others should see that nobody answers", got)
	}
}

// silent is a server that takes connections and says nothing.
type silent struct {
	net.Listener
	mutex sync.Mutex
	taken []net.Conn
}

func newSilent(t *testing.T) *silent {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &silent{Listener: listener}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := s.Accept()
			if err != nil {
				return
			}
			s.mutex.Lock()
			s.taken = append(s.taken, conn)
			s.mutex.Unlock()
		}
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-ended
		for _, conn := range s.taken {
			_ = conn.Close()
		}
	})
	return s
}

func (s *silent) connections() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.taken)
}
