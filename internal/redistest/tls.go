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

// Trust is what a client needs for mutual TLS, PEM-encoded: the CA certificate of the servers, and a client certificate and its key.
type Trust struct{ CA, Cert, Key []byte }

// TLS is a server that requires a client certificate.
type TLS struct {
	*Server
	Trust
	port string
}

// StartTLS starts a server with a TLS port and a port without TLS.
func StartTLS(t testing.TB, args ...string) *TLS {
	t.Helper()
	a := newCA(t)
	port, more := a.listen(t, certificate("server"))
	return &TLS{Server: Start(t, append(more, args...)...), Trust: a.trust(t), port: port}
}

// URL returns the address with TLS in the form that users configure.
func (s *TLS) URL() string {
	return "rediss://:" + s.password + "@" + net.JoinHostPort("127.0.0.1", s.port) + "/0"
}

// certificateAuthority signs certificates for a test.
type certificateAuthority struct {
	dir, file string
	cert      *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newCA(t testing.TB) *certificateAuthority {
	t.Helper()
	a := &certificateAuthority{dir: t.TempDir()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := certificate("CA")
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

// certificate returns a template that is valid for every address of the machine that runs the tests, because pods of a test cluster connect to its bridge.
func certificate(name string) *x509.Certificate {
	addresses := []net.IP{net.IPv4(127, 0, 0, 1)}
	found, _ := net.InterfaceAddrs() // without them, only local clients can connect
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

// listen returns a free port and the arguments of a server that listens on it with this certificate.
func (a *certificateAuthority) listen(t testing.TB, template *x509.Certificate) (port string, args []string) {
	t.Helper()
	port, err := Loopback.findPort()
	if err != nil {
		t.Fatal(err)
	}
	// Servers of one Cluster or Sentinel group are clients of each other.
	cert, key := a.issue(t, template, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
	return port, []string{"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.file}
}

func (a *certificateAuthority) trust(t testing.TB) Trust {
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

// issue signs a certificate and writes it and its key.
func (a *certificateAuthority) issue(t testing.TB, template *x509.Certificate, usage ...x509.ExtKeyUsage) (certFile, keyFile string) {
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

func (a *certificateAuthority) write(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	at := filepath.Join(a.dir, name)
	if err := os.WriteFile(at, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}
