package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Trust is what a client needs to be let in by TLS, each PEM: the authority of the servers, and a certificate and key of its own.
type Trust struct{ CA, Cert, Key []byte }

// TLS is a server that wants a certificate from its clients.
type TLS struct {
	*Server
	Trust
	port string
}

// StartTLS starts a server with a port for TLS beside the other one.
func StartTLS(t testing.TB, args ...string) *TLS {
	t.Helper()
	a := newAuthority(t)
	port, more := a.listen(t, certificate("server"))
	return &TLS{Server: Start(t, append(more, args...)...), Trust: a.trust(t), port: port}
}

// URL is the address with TLS as a user writes it.
func (s *TLS) URL() string {
	return "rediss://:" + s.password + "@" + net.JoinHostPort("127.0.0.1", s.port) + "/0"
}

// authority signs certificates for a test.
type authority struct {
	dir, file string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
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
	a.file = a.write(t, "ca.crt", "CERTIFICATE", der)
	return a
}

// certificate is good for every address of this machine: pods of a test cluster come by its bridge.
func certificate(name string) *x509.Certificate {
	addresses := []net.IP{net.IPv4(127, 0, 0, 1)}
	found, _ := net.InterfaceAddrs() // without them, only this machine's own clients are served
	for _, address := range found {
		if network, ok := address.(*net.IPNet); ok {
			addresses = append(addresses, network.IP)
		}
	}
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: addresses,
	}
}

// listen is a free port, and the arguments of a server that listens there with this certificate.
func (a *authority) listen(t testing.TB, template *x509.Certificate) (port string, args []string) {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	// Servers of one Cluster or Sentinel group are clients of each other.
	cert, key := a.issue(t, template, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
	return port, []string{"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.file}
}

func (a *authority) trust(t testing.TB) Trust {
	t.Helper()
	var trust Trust
	cert, key := a.issue(t, certificate("client"), x509.ExtKeyUsageClientAuth)
	for name, into := range map[string]*[]byte{a.file: &trust.CA, cert: &trust.Cert, key: &trust.Key} {
		var err error
		if *into, err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return trust
}

// issue writes a certificate and its key.
func (a *authority) issue(t testing.TB, template *x509.Certificate, usage ...x509.ExtKeyUsage) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.ExtKeyUsage = usage
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	name := template.Subject.CommonName
	return a.write(t, name+".crt", "CERTIFICATE", der), a.write(t, name+".key", "PRIVATE KEY", private)
}

func (a *authority) write(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	at := filepath.Join(a.dir, name)
	if err := os.WriteFile(at, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}
