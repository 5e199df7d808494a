package disturb

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Answer is a response of a proxy instead of that of the API server; it returns false if the request is forwarded after all.
type Answer func(w http.ResponseWriter, r *http.Request) (isAnswered bool)

// APIServer is a proxy in front of an API server. It forwards requests with their own credentials.
type APIServer struct {
	*httptest.Server

	mu     sync.Mutex
	answer Answer
	met    int // how many requests have met it
	open   map[net.Conn]bool
}

// NewAPIServer starts a proxy with its own certificate in front of the API server of a configuration. It calls observe before each request.
func NewAPIServer(config *rest.Config, observe func(r *http.Request)) (*APIServer, error) {
	forward, err := NewForwarder(rest.AnonymousClientConfig(config))
	if err != nil {
		return nil, err
	}
	forward.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	s := &APIServer{open: map[net.Conn]bool{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		observe(r)
		if answer := s.current(); answer != nil && answer(w, r) {
			return
		}
		forward.ServeHTTP(w, r)
	}))
	s.Config.ConnState = func(connection net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if state == http.StateClosed || state == http.StateHijacked {
			delete(s.open, connection)
		} else {
			s.open[connection] = true
		}
	}
	s.EnableHTTP2 = true
	s.StartTLS()
	return s, nil
}

// CA returns the proxy's own certificate in PEM format.
func (s *APIServer) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// Disturb gives this answer to all requests until Repair. If reset is true, it closes the connections of clients, which ends their watches.
func (s *APIServer) Disturb(answer Answer, reset bool) {
	s.mu.Lock()
	s.answer, s.met = answer, 0
	s.mu.Unlock()
	if reset {
		s.CloseClientConnections()
	}
}

// Repair forwards all requests again.
func (s *APIServer) Repair() { s.Disturb(nil, false) }

// CountMet returns how many requests have met the current answer.
func (s *APIServer) CountMet() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.met
}

// CountConnections returns the number of open connections of clients.
func (s *APIServer) CountConnections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// current returns the answer that a request meets.
func (s *APIServer) current() Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.met++
	return s.answer
}

// AnswerStatus answers with an error status of Kubernetes.
func AnswerStatus(code int32, reason metav1.StatusReason) Answer {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		if code == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "1")
		}
		w.WriteHeader(int(code))
		_ = json.NewEncoder(w).Encode(metav1.Status{ // the client may have disconnected
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason,
			Message: fmt.Sprintf("the proxy answers with %d", code),
		})
		return true
	}
}

// AnswerReset breaks the connection.
func AnswerReset(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }

// AnswerNothing gives no response until the client disconnects.
func AnswerNothing(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body) // only then does the server detect that a client has disconnected
	<-r.Context().Done()
	return true
}

// AnswerLate forwards requests after a delay.
func AnswerLate(delay time.Duration) Answer {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		}
		return false
	}
}
