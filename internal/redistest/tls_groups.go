package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TLSCluster is a Redis Cluster whose masters have an address each, and a certificate for that one alone.
type TLSCluster struct {
	*Cluster
	Trust
	url string
}

// StartTLSCluster starts it. The masters have ports without TLS as well, at the address 127.0.0.1.
func StartTLSCluster(t testing.TB) *TLSCluster {
	t.Helper()
	a := newAuthority(t)
	c := &TLSCluster{Trust: a.trust(t)}
	c.Cluster = startCluster(t, func(master int) []string {
		address, addr, args := a.alone(t, master)
		if master == 0 {
			c.url = "rediss+cluster://" + addr
		}
		return append(args, "--tls-cluster", "yes", "--cluster-announce-ip", address)
	})
	return c
}

// URL names the first master alone; the others are found through it.
func (c *TLSCluster) URL() string { return c.url }

// TLSSentinel is a master and a sentinel that have an address each, and a certificate for that one alone.
type TLSSentinel struct {
	Trust
	Master *Server
	url    string
}

// StartTLSSentinel starts them. A test of fail-overs takes StartSentinel.
func StartTLSSentinel(t testing.TB) *TLSSentinel {
	t.Helper()
	a := newAuthority(t)
	_, master, args := a.alone(t, 0)
	s := &TLSSentinel{Trust: a.trust(t), Master: Start(t, args...)}
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		t.Fatal(err)
	}
	_, addr, args := a.alone(t, 1)
	sentinel := startSentinel(t, fmt.Sprintf("sentinel monitor %s %s %s 1\n", SentinelMaster, host, port), append(args, "--tls-replication", "yes")...)
	s.url = fmt.Sprintf("rediss+sentinel://%s/0?master=%s", addr, SentinelMaster)
	awaitMaster(t, sentinel, master)
	return s
}

// URL is the address as a user writes it.
func (s *TLSSentinel) URL() string { return s.url }

// awaitMaster returns when the sentinel has reached the master.
func awaitMaster(t testing.TB, sentinel *Server, master string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), startTime)
	defer stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	client := sentinel.Client()
	for {
		info := client.Info(ctx, "sentinel").Val()
		if strings.Contains(info, "status=ok,address="+master) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the sentinel did not reach the master within %s: %s", startTime, info)
		case <-tick.C:
		}
	}
}

// alone is an address of the loopback network that only this server of a group has, and its arguments.
func (a *authority) alone(t testing.TB, server int) (address, addr string, args []string) {
	t.Helper()
	ip := net.ParseIP(fmt.Sprint("127.0.0.", 2+server))
	template := certificate(fmt.Sprint("server", server))
	template.IPAddresses = []net.IP{ip}
	port, args := a.listen(t, template)
	return ip.String(), net.JoinHostPort(ip.String(), port), append(args, "--bind", "127.0.0.1", ip.String())
}
