package credentials

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// The kinds of a [ProbeError].
var (
	// ErrUnauthorized reports that the server does not accept the credential: it has expired or was revoked, and has to be replaced.
	ErrUnauthorized = errors.New("the credential is not accepted")
	// ErrForbidden reports that the credential has no permission to create Jobs: a Role, or the namespace, is missing.
	ErrForbidden = errors.New("the credential may not create Jobs")
	// ErrUnreachable reports that no API server answers at the address from the machine that runs Terraform.
	ErrUnreachable = errors.New("the API server is not reachable")
	// ErrTLS reports that the server's certificate is not issued by the kubeconfig's CA, or not valid.
	ErrTLS = errors.New("the API server's certificate is not valid")
)

// ProbeError describes why Brane cannot use a credential.
type ProbeError struct {
	Server    string
	Namespace string
	Kind      error // ErrUnauthorized, ErrForbidden, ErrUnreachable or ErrTLS
	Err       error // the cause; nil if the server answered
	HasCA     bool  // whether the kubeconfig has a CA certificate
}

func (e *ProbeError) Error() string {
	switch {
	case errors.Is(e.Kind, ErrUnauthorized):
		return fmt.Sprintf("%s does not accept the credential: it has expired, or its service account or token was deleted", e.Server)
	case errors.Is(e.Kind, ErrForbidden):
		return fmt.Sprintf("%s does not allow the credential to create Jobs (create jobs.batch) in namespace %q: its service account needs a Role there, and the namespace must exist",
			e.Server, e.Namespace)
	case errors.Is(e.Kind, ErrTLS):
		return e.describeTLS()
	}
	if apierrors.IsNotFound(e.Err) {
		return fmt.Sprintf("the server at %s answers, but it is not an API server, or its URL lacks a path: %v", e.Server, e.Err)
	}
	return fmt.Sprintf("no API server answers at %s: %v", e.Server, e.Err)
}

// describeTLS describes an [ErrTLS]. The user has not seen the kubeconfig if the provider has rendered it, so the sentences name where its values come from.
func (e *ProbeError) describeTLS() string {
	var (
		host      x509.HostnameError
		authority x509.UnknownAuthorityError
	)
	switch {
	case errors.As(e.Err, &host):
		return fmt.Sprintf("the certificate of %s is not valid for this host, and Brane's client does not support another server name (tls-server-name): %v. "+
			"Use an address for which the certificate is valid", e.Server, host)
	case errors.As(e.Err, &authority) && e.HasCA:
		return fmt.Sprintf("the certificate of %s is not issued by the CA in the registered kubeconfig (certificate-authority-data; for a token that the provider requests, "+
			"it is the CA of the provider's own connection): %v", e.Server, authority)
	case errors.As(e.Err, &authority):
		return fmt.Sprintf("the certificate of %s is issued by a CA that is not trusted, because the registered kubeconfig has no certificate-authority-data "+
			"(for a token that the provider requests, set cluster_ca_certificate in the provider block): %v", e.Server, authority)
	case isPlainHTTP(e.Err):
		return fmt.Sprintf("the server at %s does not use TLS: %v", e.Server, e.Err)
	default:
		return fmt.Sprintf("the certificate of %s cannot be verified: %v", e.Server, e.Err)
	}
}

// Unwrap returns the kind, for errors.Is, and the cause.
func (e *ProbeError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// Report lists permissions that a credential has beyond what Brane needs.
type Report struct {
	Powers []string // sentences; empty if it has no more than it needs
}

// Probe uses a credential: it asks the API server for the credential's permissions, which changes nothing. The error is a [ProbeError] if Brane could not
// create Jobs in the namespace.
func Probe(ctx context.Context, c *kube.Client, namespace string) (Report, error) {
	may := func(namespace, verb, group, resource string) (bool, error) {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: group, Resource: resource},
		}}
		if err := c.Create(ctx, review); err != nil {
			return false, probeError(ctx, c.Host(), err)
		}
		return review.Status.Allowed, nil
	}
	allowed, err := may(namespace, "create", "batch", "jobs")
	if err == nil && !allowed {
		err = &ProbeError{Kind: ErrForbidden}
	}
	if err != nil {
		return Report{}, addTarget(err, c, namespace)
	}
	var report Report
	silenced := map[string]bool{}
	for _, power := range excessPermissions(namespace) {
		if silenced[power.about] {
			continue
		}
		allowed, err := may(power.namespace, power.verb, power.group, power.resource)
		if err != nil {
			return Report{}, addTarget(err, c, namespace)
		}
		if !allowed {
			continue
		}
		report.Powers = append(report.Powers, power.sentence)
		if power.about == "everything" {
			break
		}
		silenced[power.about] = true // "in every namespace" needs no "in kube-system"
	}
	return report, nil
}

// WaitUntilAccepted probes a credential that was just issued until Brane could work with it, or for as long as the timeout: the API server may need a moment to know the
// service account, or the role that it was given. The error is that of the last [Probe].
func WaitUntilAccepted(ctx context.Context, c *kube.Client, namespace string, timeout time.Duration) (report Report, err error) {
	_ = wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, timeout, true, func(context.Context) (bool, error) {
		report, err = Probe(ctx, c, namespace)
		return !errors.Is(err, ErrUnauthorized) && !errors.Is(err, ErrForbidden), nil
	})
	return report, err
}

// power is a permission that a credential for Brane should not have.
type power struct {
	about                            string
	namespace, verb, group, resource string
	sentence                         string
}

// excessPermissions returns the permissions to check, in this order: the broadest of each subject first.
func excessPermissions(namespace string) []power {
	ps := []power{
		{"everything", "", "*", "*", "*", "it may do everything in the whole cluster (cluster-admin)"},
		{"secrets", "", "get", "", "secrets", "it may read the Secrets of every namespace"},
	}
	if namespace != "kube-system" {
		ps = append(ps, power{"secrets", "kube-system", "get", "", "secrets", "it may read the Secrets of namespace kube-system"})
	}
	ps = append(ps, power{"jobs", "", "create", "batch", "jobs", "it may create Jobs in every namespace"})
	for _, other := range []string{"default", "kube-system"} {
		if other != namespace {
			ps = append(ps, power{"jobs", other, "create", "batch", "jobs", "it may create Jobs in namespace " + other})
		}
	}
	return ps
}

// addTarget adds what was probed to a probe error.
func addTarget(err error, c *kube.Client, namespace string) error {
	var probe *ProbeError
	if errors.As(err, &probe) {
		ca, _ := c.CA()
		probe.Server, probe.Namespace, probe.HasCA = c.Host(), namespace, len(ca) > 0
	}
	return err
}

func probeError(ctx context.Context, server string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("probe the credential on %s: %w", server, context.Cause(ctx))
	}
	switch {
	case apierrors.IsUnauthorized(err):
		return &ProbeError{Kind: ErrUnauthorized, Err: err}
	case apierrors.IsForbidden(err):
		return &ProbeError{Kind: ErrForbidden, Err: err}
	case isTLS(err):
		return &ProbeError{Kind: ErrTLS, Err: rootOf(err)}
	}
	return &ProbeError{Kind: ErrUnreachable, Err: rootOf(err)}
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &authority) ||
		errors.As(err, &host) || errors.As(err, &invalid) || isPlainHTTP(err)
}

// isPlainHTTP reports that a server speaks HTTP without TLS, for which net/http has no type.
func isPlainHTTP(err error) bool {
	return strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// rootOf returns the cause of a failed request without the URL, which the provider itself has chosen.
func rootOf(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}
