package redistest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy forwards connections to a server, for tests that look at what clients send or stop them at a known point.
type Proxy struct {
	listener net.Listener
	onSend   func(data []byte)

	mu     sync.Mutex
	open   []net.Conn
	closed bool
}

// StartProxy starts a proxy at a free port of the host. It calls onSend for whatever a client sends, before it forwards it; a call that blocks holds that
// client. The proxy is closed when the test ends.
func StartProxy(t testing.TB, host string, target *Server, onSend func(data []byte)) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, onSend: onSend}
	t.Cleanup(p.Close)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // the proxy is closed
			}
			server, err := net.Dial("tcp", target.Addr())
			if err != nil {
				_ = client.Close() // as the server itself would refuse it
				continue
			}
			p.forward(client, server)
		}
	}()
	return p
}

// Addr returns host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Close stops accepting connections and closes those that are open.
func (p *Proxy) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	_ = p.listener.Close() // it may be closed already
	for _, conn := range p.open {
		_ = conn.Close()
	}
}

// forward copies in both directions until either side ends.
func (p *Proxy) forward(client, server net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, client, server)
	if p.closed {
		_, _ = client.Close(), server.Close()
		return
	}
	go func() {
		_, _ = io.Copy(client, server) // the client sees how it ended
		_ = client.Close()
	}()
	go func() {
		_, _ = io.Copy(server, io.TeeReader(client, sent(p.onSend)))
		_ = server.Close()
	}()
}

// sent is a function as a writer.
type sent func(data []byte)

func (s sent) Write(data []byte) (int, error) {
	s(data)
	return len(data), nil
}
