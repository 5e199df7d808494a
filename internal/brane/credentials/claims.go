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

// readClaims decodes what a JWT says of itself, without verifying it; false where it is none.
func readClaims(token string, into any) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	return err == nil && json.Unmarshal(payload, into) == nil
}
