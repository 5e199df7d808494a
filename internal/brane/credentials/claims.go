package credentials

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// ServiceAccount is whose token the kubeconfig holds, by the token's own word (its "sub" claim); false where it is no service account's.
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

// TokenSecret is the Secret in which the cluster keeps the kubeconfig's long-lived token, by the token's own word; empty where it is no such token.
func (k *Kubeconfig) TokenSecret() string {
	var claims struct {
		Secret string `json:"kubernetes.io/serviceaccount/secret.name"`
	}
	if !readClaims(k.Token, &claims) {
		return ""
	}
	return claims.Secret
}

// readClaims decodes what a JWT says of itself, without verifying it; false where it is none.
func readClaims(token string, into any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && json.Unmarshal(payload, into) == nil
}
