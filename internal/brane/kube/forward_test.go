package kube

import (
	"net"
	"testing"
)

// What uses a forwarded connection after its end learns the reason that the API server has sent, if there is one.
func TestEndOfAForwardedConnection(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ reason, read, write string }{
		"with a reason": {"lost connection to pod", "lost connection to pod", "lost connection to pod"},
		"without one":   {"", "EOF", errForwardClosed.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := net.Pipe()
			conn := &forwarded{Conn: near}
			conn.setReason(tt.reason)
			if err := far.Close(); err != nil {
				t.Fatal(err)
			}
			_, readErr := conn.Read(make([]byte, 1))
			_, writeErr := conn.Write([]byte("x"))
			if readErr == nil || writeErr == nil || readErr.Error() != tt.read || writeErr.Error() != tt.write {
				t.Errorf("a read says %v, a write %v", readErr, writeErr)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
