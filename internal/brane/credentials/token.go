// Package credentials handles the credentials with which Brane authenticates to a cluster: tokens of service accounts, and kubeconfigs. It requests tokens,
// renders kubeconfigs, parses those of users under the rules of a program that reads them inside a container, and checks their permissions.
//
// It uses package kube for requests. It does not depend on infra.yml, Redis or Terraform.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ErrNoAccount reports that the service account, or its namespace, does not exist.
var ErrNoAccount = errors.New("the service account does not exist")

// Token is a token of a service account. Its value is a secret.
type Token struct {
	Value   string
	Issued  time.Time
	Expires time.Time
	Asked   time.Duration // the lifetime that was requested
}

// Lifetime returns the time from issue to expiry.
func (t Token) Lifetime() time.Duration { return t.Expires.Sub(t.Issued) }

// Shortened reports whether the server granted a shorter lifetime than was requested, for example because of --service-account-max-token-expiration.
// It ignores up to a minute, which clocks and rounding can account for.
func (t Token) Shortened() bool { return t.Asked-t.Lifetime() > time.Minute }

// RequestToken requests a token for a service account. Without audiences it is for the API server.
// It sends one request, so that a plan does not wait; an apply repeats it with kube.Client.Retry.
func RequestToken(ctx context.Context, c *kube.Client, namespace, serviceAccount string, lifetime time.Duration, audiences []string) (Token, error) {
	seconds := int64(lifetime / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds}}
	if err := c.CreateToken(ctx, namespace, serviceAccount, request); err != nil {
		if apierrors.IsNotFound(err) {
			err = fmt.Errorf("%w: %w", ErrNoAccount, err)
		}
		return Token{}, fmt.Errorf("request a token for service account %q in namespace %q on %s: %w", serviceAccount, namespace, c.Host(), err)
	}
	t := Token{Value: request.Status.Token, Expires: request.Status.ExpirationTimestamp.Time, Asked: lifetime}
	issued, expires, ok := Expiry(t.Value)
	if ok && !issued.IsZero() {
		t.Issued = issued
	} else {
		t.Issued = time.Now().Truncate(time.Second)
	}
	if ok && !expires.IsZero() {
		t.Expires = expires // the server checks the token's own claim
	}
	return t, nil
}

// Expiry returns when a token was issued and when it expires, without verifying it. A time is zero if the token has no such claim: a long-lived token
// never expires. ok is false if the token is not a JWT.
func Expiry(token string) (issued, expires time.Time, ok bool) {
	var claims struct {
		Issued  *float64 `json:"iat"`
		Expires *float64 `json:"exp"`
	}
	if !readClaims(token, &claims) {
		return time.Time{}, time.Time{}, false
	}
	return toTime(claims.Issued), toTime(claims.Expires), true
}

// toTime converts a NumericDate of a JWT; it returns the zero time for a value out of range.
func toTime(seconds *float64) time.Time {
	const year10000 = 253402300800
	if seconds == nil || !(*seconds > 0 && *seconds < year10000) {
		return time.Time{}
	}
	return time.Unix(int64(*seconds), 0)
}
