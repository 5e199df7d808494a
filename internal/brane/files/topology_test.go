package files

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// exercise does once what a run does, and leaves nothing, which admin sees.
func exercise(t *testing.T, client, admin redis.UniversalClient) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if _, err := Check(ctx, client); err != nil {
		t.Fatal(err)
	}
	s := open(t, client, "exercise")
	events := s.Events(ctx)
	if got := <-events; got.State != Resync {
		t.Errorf("the first event is %v", got)
	}
	tree := leave(t, s, map[string][]byte{"small": []byte("hello"), "large": bytes.Repeat([]byte("0123456789"), 900_000)})
	dir := t.TempDir()
	stamps, err := s.Restore(ctx, tree, nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := s.Snapshot(ctx, dir, NewStaged(tree, nil, stamps), nil, "next")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		step := fmt.Sprint("fan.", i)
		if _, won, err := s.Commit(ctx, step, Record{Layer: layer}); err != nil || !won {
			t.Fatalf("commit of %s: %v, %v", step, won, err)
		}
		if got, want := <-events, (Event{step, Committed}); got != want {
			t.Errorf("event %v, want %v", got, want)
		}
	}
	if records, err := s.Commits(ctx, []string{"fan.0", "fan.7", "fan.19", "fan.20"}); err != nil || len(records) != 3 {
		t.Errorf("Commits has %d records, %v", len(records), err)
	}
	kept, err := s.Keep(ctx, []string{"small", "large"}, tree)
	if err != nil {
		t.Fatal(err)
	}
	if lost, err := s.Missing(ctx, kept); err != nil || lost != nil {
		t.Errorf("Missing says %q, %v", lost, err)
	}
	if err := s.SetMeta(ctx, map[string]string{"owner": "me"}); err != nil {
		t.Error(err)
	}
	if err := s.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	if n := admin.DBSize(ctx).Val(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

// TestCluster also shows that the keys of one run lie on all masters.
func TestCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	client := dial(t, cluster.URL())
	s := open(t, client, "spread")
	leave(t, s, map[string][]byte{"large": bytes.Repeat([]byte("0123456789abcdefg"), 2_000_000)})
	for i, master := range cluster.Masters {
		if n := master.Client().DBSize(t.Context()).Val(); n == 0 {
			t.Errorf("master %d has no key", i)
		}
	}
	if err := s.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	exercise(t, client, client)
}

func TestTLSWithAClientCertificate(t *testing.T) {
	pki := newAuthority(t)
	serverCert, serverKey := pki.issue(t, "server", x509.ExtKeyUsageServerAuth)
	server := redistest.Start(t, "--tls-port", freeTLSPort(t), "--tls-cert-file", serverCert, "--tls-key-file", serverKey,
		"--tls-ca-cert-file", pki.file, "--requirepass", "s3cret")
	address := "127.0.0.1:" + server.Client().ConfigGet(t.Context(), "tls-port").Val()["tls-port"]
	clientCert, clientKey := pki.issue(t, "client", x509.ExtKeyUsageClientAuth)
	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pki.pool, Certificates: []tls.Certificate{pair}}
	client, err := Dialer{TLS: config}.Dial("rediss://:s3cret@" + address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // nothing is written any more
	exercise(t, client, client)
	for name, tt := range map[string]struct {
		dialer Dialer
		want   string
	}{
		"an authority that nobody knows": {Dialer{TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}}, "certificate signed by unknown authority"},
		// Of TLS 1.3 the refusal may get lost, as the client writes before it reads.
		"no certificate of the client": {Dialer{TLS: &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, RootCAs: pki.pool}}, "remote error: tls: handshake failure"},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := tt.dialer.Dial("rediss://:s3cret@" + address)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close() // nothing was written
			_, err = Check(t.Context(), client)
			if !errors.Is(err, ErrUnreachable) || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func freeTLSPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it was never used
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// authority signs certificates for a test.
type authority struct {
	dir, file string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
	pool      *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir(), pool: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := certificate("authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	a.file = a.write(t, "ca.crt", "CERTIFICATE", der)
	return a
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// issue writes a certificate and its key.
func (a *authority) issue(t *testing.T, name string, usage x509.ExtKeyUsage) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := certificate(name)
	template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return a.write(t, name+".crt", "CERTIFICATE", der), a.write(t, name+".key", "PRIVATE KEY", private)
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	at := filepath.Join(a.dir, name)
	if err := os.WriteFile(at, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}
