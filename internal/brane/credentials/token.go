// Package credentials is what Brane authenticates to a cluster with: tokens of service accounts and the kubeconfigs around them. It requests and renders
// them, parses those of users under the rules of Brane, which reads them in a separate container, and verifies their permissions.
//
// It uses package kube for requests. It knows nothing of infra.yml, Redis and Terraform.
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

// ErrNoAccount says that the service account, or its namespace, is not there.
var ErrNoAccount = errors.New("the service account is not there")

// Token is a service account's token. Its value is a secret.
type Token struct {
	Value   string
	Issued  time.Time
	Expires time.Time
	Asked   time.Duration // the lifetime that was asked for
}

// Lifetime is how long the server lets the token live in all.
func (t Token) Lifetime() time.Duration { return t.Expires.Sub(t.Issued) }

// Shortened says whether the server granted less than was asked, as its --service-account-max-token-expiration may demand.
// A minute less is no news: it is what clocks and roundings make.
func (t Token) Shortened() bool { return t.Asked-t.Lifetime() > time.Minute }

// RequestToken requests a token of a service account. Without audiences, it is for the API server.
// It asks once, so that a plan may do it; an apply lets kube.Client.Persist wait for an API server that is away.
func RequestToken(ctx context.Context, c *kube.Client, namespace, serviceAccount string, lifetime time.Duration, audiences []string) (Token, error) {
	seconds := int64(lifetime / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: &seconds}}
	if err := c.CreateToken(ctx, namespace, serviceAccount, request); err != nil {
		if apierrors.IsNotFound(err) {
			err = fmt.Errorf("%w: %w", ErrNoAccount, err)
		}
		return Token{}, fmt.Errorf("request a token of service account %q in namespace %q on %s: %w", serviceAccount, namespace, c.Host(), err)
	}
	t := Token{Value: request.Status.Token, Expires: request.Status.ExpirationTimestamp.Time, Asked: lifetime}
	issued, expires, ok := Expiry(t.Value)
	if ok && !issued.IsZero() {
		t.Issued = issued
	} else {
		t.Issued = time.Now().Truncate(time.Second)
	}
	if ok && !expires.IsZero() {
		t.Expires = expires // the token's own word: it is what the server will look at
	}
	return t, nil
}

// Expiry reads when a token was issued and when it expires, without verifying it. A zero time is not in the token: a long-lived token
// never expires. It is false for tokens that are no JWT.
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

// unix is a JWT's NumericDate; what is no time of these centuries is none.
func toTime(seconds *float64) time.Time {
	const year10000 = 253402300800
	if seconds == nil || !(*seconds > 0 && *seconds < year10000) {
		return time.Time{}
	}
	return time.Unix(int64(*seconds), 0)
}
