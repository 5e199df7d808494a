package files

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Certificates holds what rediss:// may need beside the URL, each in PEM format. If it is empty, the system's CAs are used, and no client
// certificate.
type Certificates struct {
	CA   []byte // the CA that signed the server's certificate
	Cert []byte // the client's certificate
	Key  []byte // the client's private key
}

// Config returns the configuration for [Dialer.TLS], nil if there is nothing to configure.
func (c Certificates) Config() (*tls.Config, error) {
	if len(c.CA)+len(c.Cert)+len(c.Key) == 0 {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(c.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, errors.New("the CA certificate for redis: it contains no certificate in PEM format")
		}
	}
	if len(c.Cert)+len(c.Key) > 0 {
		pair, err := tls.X509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("the client certificate and key for redis: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
