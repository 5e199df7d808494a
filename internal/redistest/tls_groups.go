package redistest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// TLSCluster is a Redis Cluster in which each master has its own address and a certificate that is valid only for it.
type TLSCluster struct {
	*Cluster
	Trust
	url string
}

// StartTLSCluster starts such a Cluster. The masters also have ports without TLS at 127.0.0.1.
func StartTLSCluster(t testing.TB) *TLSCluster {
	t.Helper()
	a := newCA(t)
	c := &TLSCluster{Trust: a.trust(t)}
	c.Cluster = Loopback.startCluster(t, func(master int) []string {
		address, addr, args := a.listenAlone(t, master)
		if master == 0 {
			c.url = "rediss+cluster://" + addr
		}
		return append(args, "--tls-cluster", "yes", "--cluster-announce-ip", address)
	})
	return c
}

// URL names only the first master, through which clients discover the others.
func (c *TLSCluster) URL() string { return c.url }

// TLSSentinel is a master and a sentinel, each with its own address and a certificate that is valid only for it.
type TLSSentinel struct {
	Trust
	Master *Server
	url    string
}

// StartTLSSentinel starts the master and the sentinel. Tests of failover use StartSentinel.
func StartTLSSentinel(t testing.TB) *TLSSentinel {
	t.Helper()
	a := newCA(t)
	_, master, args := a.listenAlone(t, 0)
	s := &TLSSentinel{Trust: a.trust(t), Master: Start(t, args...)}
	host, port, err := net.SplitHostPort(master)
	if err != nil {
		t.Fatal(err)
	}
	_, addr, args := a.listenAlone(t, 1)
	sentinel := Loopback.startSentinel(t, fmt.Sprintf("sentinel monitor %s %s %s 1\n", SentinelMaster, host, port), append(args, "--tls-replication", "yes")...)
	s.url = fmt.Sprintf("rediss+sentinel://%s/0?master=%s", addr, SentinelMaster)
	awaitMaster(t, sentinel, master)
	return s
}

// URL returns the address in the form that users configure.
func (s *TLSSentinel) URL() string { return s.url }

// awaitMaster waits until the sentinel has reached the master.
func awaitMaster(t testing.TB, sentinel *Server, master string) {
	t.Helper()
	client, info := sentinel.Client(), ""
	err := testenv.Poll(t.Context(), func(ctx context.Context) (bool, error) {
		info = client.Info(ctx, "sentinel").Val()
		return strings.Contains(info, "status=ok,address="+master), nil
	})
	if err != nil {
		t.Fatalf("the sentinel has not reached the master: %v: %s", err, info)
	}
}

// listenAlone returns an address of the loopback network that no other server of the group has, and the arguments of the server.
func (a *certificateAuthority) listenAlone(t testing.TB, server int) (address, addr string, args []string) {
	t.Helper()
	ip := net.ParseIP(fmt.Sprint("127.0.0.", 2+server))
	template := certificate(fmt.Sprint("server", server))
	template.IPAddresses = []net.IP{ip}
	port, args := a.listen(t, template)
	return ip.String(), net.JoinHostPort(ip.String(), port), append(args, "--bind", "127.0.0.1", ip.String())
}
