package credentials

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"strings"
)

// tokenClaims contains the claims of a service account's token. Those of a token that expires are in one object, those of a long-lived token are not.
type tokenClaims struct {
	Subject string `json:"sub"`
	Secret  string `json:"kubernetes.io/serviceaccount/secret.name"`
	UID     string `json:"kubernetes.io/serviceaccount/service-account.uid"`
	Bound   struct {
		Account struct {
			UID string `json:"uid"`
		} `json:"serviceaccount"`
	} `json:"kubernetes.io"`
}

// accountUID returns the UID of the token's service account; empty if the token does not state it.
func (c tokenClaims) accountUID() string { return cmp.Or(c.UID, c.Bound.Account.UID) }

// ServiceAccount returns the service account of the kubeconfig's token (its "sub" claim); ok is false if the token is not of a service account.
func (k *Kubeconfig) ServiceAccount() (namespace, name string, ok bool) {
	var claims tokenClaims
	if !readClaims(k.Token, &claims) {
		return "", "", false
	}
	account, ok := strings.CutPrefix(claims.Subject, "system:serviceaccount:")
	if !ok {
		return "", "", false
	}
	return strings.Cut(account, ":")
}

// TokenSecret returns the name of the Secret of the kubeconfig's long-lived token, as the token states; empty for another token.
func (k *Kubeconfig) TokenSecret() string {
	var claims tokenClaims
	if !readClaims(k.Token, &claims) {
		return ""
	}
	return claims.Secret
}

// readClaims decodes the claims of a JWT without verifying it, and reports whether it is one.
func readClaims(token string, into any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && json.Unmarshal(payload, into) == nil
}
