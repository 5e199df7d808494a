package plugin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// identify makes a certificate for this process, and a TLS configuration that lets in only whoever holds the client's. Without a client certificate, as in tests
// and under a debugger, both are nil: the socket alone keeps others out.
func identify(client string) (*tls.Config, []byte, error) {
	if client == "" {
		return nil, nil, nil
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM([]byte(client)) {
		return nil, nil, errors.New("PLUGIN_CLIENT_CERT, which the CLI has set, holds no certificate")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key for the connection with the CLI: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate for the connection with the CLI: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "localhost", Organization: []string{"terraform-provider-brane"}},
		DNSNames:     []string{"localhost"}, // the name that go-plugin's client expects
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.AddDate(1, 0, 0), // longer than any apply
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IsCA:         true, // the client takes it for its own authority

		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate for the connection with the CLI: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
		RootCAs:      clients,
		ServerName:   "localhost",
		MinVersion:   tls.VersionTLS12,
	}, der, nil
}
