package files

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestTLSOverAnotherConnection connects to another address than the URL's, as through an API server; the certificate must be valid for the
// host of the URL.
func TestTLSOverAnotherConnection(t *testing.T) {
	server := redistest.StartTLS(t, "--requirepass", "s3cret")
	encrypted, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	trust, err := Certificates{CA: server.CA, Cert: server.Cert, Key: server.Key}.Config()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := Certificates{CA: redistest.StartTLS(t).CA, Cert: server.Cert, Key: server.Key}.Config()
	if err != nil {
		t.Fatal(err)
	}
	later := trust.Clone()
	later.Time = func() time.Time { return time.Now().Add(24 * time.Hour) }
	to := func(addr string) connector {
		return func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
	}
	t.Run("it is all as it should be", func(t *testing.T) {
		client, err := Dialer{TLS: trust, Connect: to(encrypted.Host)}.Dial("rediss://:s3cret@127.0.0.1:1/0")
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close() // exercise has read all answers
		exercise(t, client, server.Client())
	})
	for name, tt := range map[string]struct {
		dialer    Dialer
		url, want string
	}{
		"another authority":        {Dialer{TLS: stranger, Connect: to(encrypted.Host)}, "rediss://:s3cret@127.0.0.1:1", "TLS with 127.0.0.1:1: tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of \"x509: ECDSA verification failure\" while trying to verify candidate authority certificate \"CA\")"},
		"an expired certificate":   {Dialer{TLS: later, Connect: to(encrypted.Host)}, "rediss://:s3cret@127.0.0.1:1", "TLS with 127.0.0.1:1: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time "},
		"a certificate for others": {Dialer{TLS: trust, Connect: to(encrypted.Host)}, "rediss://:s3cret@redis.example:1", "TLS with redis.example:1: tls: failed to verify certificate: x509: certificate is not valid for any names, but wanted to match redis.example"},
		// The server waits for the end of a line.
		"a server that knows no TLS": {Dialer{TLS: trust, Connect: to(server.Addr())}, "rediss://:s3cret@127.0.0.1:1", "TLS with 127.0.0.1:1: context deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := tt.dialer.Dial(tt.url)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close() // nothing was written
			if err := client.Ping(t.Context()).Err(); !strings.HasPrefix(fmt.Sprint(err), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestTLSWithSeveralServers names one of several servers in the URL; the certificate of each is for its own address.
func TestTLSWithSeveralServers(t *testing.T) {
	cluster, sentinel := redistest.StartTLSCluster(t), redistest.StartTLSSentinel(t)
	for name, tt := range map[string]struct {
		url   string
		trust redistest.Trust
		admin redis.UniversalClient
	}{
		"a Cluster":        {cluster.URL(), cluster.Trust, dial(t, cluster.Cluster.URL())},
		"a Sentinel group": {sentinel.URL(), sentinel.Trust, sentinel.Master.Client()},
	} {
		config, err := Certificates(tt.trust).Config()
		if err != nil {
			t.Fatal(err)
		}
		for how, connect := range map[string]connector{"": nil, " over connections of our own": (&net.Dialer{}).DialContext} {
			t.Run(name+how, func(t *testing.T) {
				client, err := Dialer{TLS: config, Connect: connect}.Dial(tt.url)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close() // exercise has read all answers
				exercise(t, client, tt.admin)
			})
		}
	}
}
