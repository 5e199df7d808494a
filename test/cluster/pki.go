package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateAuthority signs the cluster's certificates. Its key is stored in the directory, so that certificates stay
// valid after a restart.
type certificateAuthority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// subject is the subject of a certificate. Kubernetes uses the common name as the user and the organization
// as the group.
type subject struct {
	file  string // the certificate is FILE.crt and its key FILE.key
	name  string
	group string
	ips   []string
	dns   []string
}

// writePKI creates the CA, the key pair for service accounts and all certificates once: a cluster keeps its number,
// and therefore its addresses.
func writePKI(c cluster) error {
	if _, err := os.Stat(c.adminFile()); err == nil {
		return nil
	}
	ca, err := newCA(c.path("pki"))
	if err != nil {
		return err
	}
	if err := ca.writeServiceAccountKeys(); err != nil {
		return err
	}
	for _, s := range []subject{
		{file: "etcd", name: "etcd", ips: []string{c.loopback()}},
		{
			file: "apiserver", name: "kube-apiserver", ips: []string{c.loopback(), c.gateway(), c.service()},
			dns: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		},
		{file: "apiserver-client", name: "kube-apiserver-kubelet-client", group: "system:masters"},
		{file: "control-plane", name: "control-plane", ips: []string{c.loopback()}},
		{file: "kubelet", name: "system:node:" + c.node(), group: "system:nodes", ips: []string{c.loopback()}},
	} {
		if _, _, err := ca.issue(s); err != nil {
			return err
		}
	}
	for path, s := range map[string]subject{
		c.path("conf/controller-manager.kubeconfig"): {file: "controller-manager", name: "system:kube-controller-manager"},
		c.path("conf/scheduler.kubeconfig"):          {file: "scheduler", name: "system:kube-scheduler"},
		c.path("conf/kubelet.kubeconfig"):            {file: "kubelet-client", name: "system:node:" + c.node(), group: "system:nodes"},
	} {
		if err := ca.writeKubeconfig(path, c.server(), s); err != nil {
			return err
		}
	}
	// Written last: its existence shows that everything exists.
	return ca.writeKubeconfig(c.adminFile(), c.server(), subject{file: "admin", name: "kubernetes-admin", group: "system:masters"})
}

func newCA(dir string) (*certificateAuthority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, _, err := writeKey(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	template, err := certificate(subject{name: "brane test cluster"})
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = nil
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	b, err := writePEM(filepath.Join(dir, "ca.crt"), "CERTIFICATE", der)
	return &certificateAuthority{dir: dir, cert: cert, key: key, pem: b}, err
}

// certificate returns a template that is valid for ten years, starting an hour ago to tolerate clock skew.
func certificate(s subject) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: s.name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames:     s.dns,
	}
	if s.group != "" {
		t.Subject.Organization = []string{s.group}
	}
	for _, ip := range s.ips {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(ip))
	}
	return t, nil
}

// issue signs a certificate, writes it and its key to the directory of the CA and returns both as PEM.
func (a *certificateAuthority) issue(s subject) (cert, key []byte, err error) {
	private, key, err := writeKey(filepath.Join(a.dir, s.file+".key"))
	if err != nil {
		return nil, nil, err
	}
	template, err := certificate(s)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the certificate of %s: %w", s.name, err)
	}
	cert, err = writePEM(filepath.Join(a.dir, s.file+".crt"), "CERTIFICATE", der)
	return cert, key, err
}

// writeServiceAccountKeys creates the key pair with which the control plane signs service account tokens.
func (a *certificateAuthority) writeServiceAccountKeys() error {
	key, _, err := writeKey(filepath.Join(a.dir, "sa.key"))
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	_, err = writePEM(filepath.Join(a.dir, "sa.pub"), "PUBLIC KEY", der)
	return err
}

const kubeconfigFormat = `apiVersion: v1
kind: Config
clusters:
- name: brane-test
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: %[3]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
contexts:
- name: brane-test
  context: {cluster: brane-test, user: "%[3]s"}
current-context: brane-test
`

func (a *certificateAuthority) writeKubeconfig(path, server string, s subject) error {
	cert, key, err := a.issue(s)
	if err != nil {
		return err
	}
	base64 := base64.StdEncoding.EncodeToString
	text := fmt.Sprintf(kubeconfigFormat, server, base64(a.pem), s.file, base64(cert), base64(key))
	return os.WriteFile(path, []byte(text), 0o600)
}

func writeKey(path string) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	b, err := writePEM(path, "EC PRIVATE KEY", der)
	return key, b, err
}

func writePEM(path, kind string, der []byte) ([]byte, error) {
	b := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return b, os.WriteFile(path, b, 0o600)
}

// errNoCertificate is returned for a file without certificates.
var errNoCertificate = errors.New("it contains no certificate")

// readPool reads the CA certificate for clients.
func readPool(path string) (*x509.CertPool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("read %s: %w", path, errNoCertificate)
	}
	return pool, nil
}
