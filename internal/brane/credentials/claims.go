package credentials

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// ServiceAccount returns the service account of the kubeconfig's token (its "sub" claim); ok is false if the token is not of a service account.
func (k *Kubeconfig) ServiceAccount() (namespace, name string, ok bool) {
	var claims struct {
		Subject string `json:"sub"`
	}
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
	var claims struct {
		Secret string `json:"kubernetes.io/serviceaccount/secret.name"`
	}
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
