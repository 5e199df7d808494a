package kube_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

func newClient(t *testing.T, config *rest.Config) *kube.Client {
	t.Helper()
	client, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestSnapshotOfSilentServer checks that concurrent reads wait only once for a server that accepts connections and never answers.
func TestSnapshotOfSilentServer(t *testing.T) {
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
	patient, done := context.WithTimeoutCause(t.Context(), 3*time.Second, errors.New("not finished in time"))
	defer done()
	var group sync.WaitGroup
	answers := make([]error, 11)
	for i := range 10 {
		group.Go(func() { answers[i] = ask(patient) })
	}
	group.Wait()
	answers[10] = ask(t.Context())
	for i, err := range answers {
		if !kube.IsUnreachable(err) || !strings.Contains(err.Error(), "not finished in time") {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	if got := silent.connections(); got != 3 {
		t.Errorf("%d connections for 11 reads; two go to the server one by one, the third lists, and all others should see that nobody answers", got)
	}
}

// silent is a server that accepts connections and never answers.
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
