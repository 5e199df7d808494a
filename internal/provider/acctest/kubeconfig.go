package acctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// NewCA returns the certificate of a CA that has signed no certificate.
func NewCA(t testing.TB) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "other"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}

// Kubeconfig is a valid kubeconfig; nothing listens at its address.
const Kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: c
  cluster: {server: "https://203.0.113.7:6443", certificate-authority-data: Q0E=}
users:
- name: brane
  user: {token: TOKEN}
contexts:
- name: brane
  context: {cluster: c, namespace: brane, user: brane}
current-context: brane
`
