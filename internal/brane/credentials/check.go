package credentials

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"time"

	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/redact"
)

// Check compares the kubeconfig with its location: Brane connects to the kubeconfig's server and displays the location's address.
// The errors are for the fields "address" and "namespace".
func (k *Kubeconfig) Check(address, namespace string) []*FieldError {
	var problems []*FieldError
	server := serverAddress(k.Server)
	if kube.NormalizeAddress(address) != server {
		problems = append(problems, &FieldError{"address", fmt.Sprintf(
			"the kubeconfig's server is %s, to which Brane connects; the address %q must be the same", server, redact.HideUserInfo(address))})
	}
	if k.Namespace != "" && k.Namespace != namespace {
		problems = append(problems, &FieldError{"namespace", fmt.Sprintf(
			"the kubeconfig's context is for namespace %q and the location for %q; make them the same", k.Namespace, redact.HideUserInfo(namespace))})
	}
	return problems
}

// serverAddress returns host:port of a server's URL.
func serverAddress(server string) string {
	u, err := url.Parse(kube.NormalizeServer(server))
	if err != nil {
		return ""
	}
	return u.Host
}

// Config returns the configuration of a client with exactly this credential.
func (k *Kubeconfig) Config() *rest.Config {
	return &rest.Config{
		Host:        k.Server,
		BearerToken: k.Token,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: k.CA, CertData: k.ClientCertificate, KeyData: k.ClientKey, Insecure: k.Insecure,
		},
	}
}

// NeedsRenewal reports whether the credential should be renewed, because it expires in less than renewBefore. Zero, and a duration that is not shorter than the
// lifetime that the API server granted, mean a third of that lifetime. A credential without an expiry time is never due.
func (k *Kubeconfig) NeedsRenewal(now time.Time, renewBefore time.Duration) bool {
	issued, expires, ok := k.Lifetime()
	if lifetime := expires.Sub(issued); renewBefore <= 0 || renewBefore >= lifetime {
		renewBefore = lifetime / 3
	}
	return ok && !expires.IsZero() && expires.Sub(now) < renewBefore
}

// Lifetime returns when the credential was issued and when it expires, as its token or certificate states; a time is zero if it is not stated.
// ok is false if neither can be read.
func (k *Kubeconfig) Lifetime() (issued, expires time.Time, ok bool) {
	if k.Token != "" {
		return Expiry(k.Token)
	}
	block, _ := pem.Decode(k.ClientCertificate)
	if block == nil {
		return time.Time{}, time.Time{}, false
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, time.Time{}, false
	}
	return certificate.NotBefore, certificate.NotAfter, true
}
