package credentials

import (
	"encoding/base64"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDescribeTokenSecret(t *testing.T) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "brane", UID: "u1"}}
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	const own = `{"sub":"system:serviceaccount:ns:brane","kubernetes.io/serviceaccount/service-account.uid":"u1"}`
	for name, tt := range map[string]struct {
		edit    func(*corev1.Secret)
		account *corev1.ServiceAccount
		want    string
	}{
		"its own token":              {nil, account, ""},
		"a token that is not issued": {func(s *corev1.Secret) { s.Data = nil }, account, ""},
		"an annotation of others": {func(s *corev1.Secret) {
			s.Labels = map[string]string{"kubernetes.io/legacy-token-last-used": "2026-01-01"}
		}, account, ""},
		"an invalidated token": {
			func(s *corev1.Secret) {
				s.Labels = map[string]string{"kubernetes.io/legacy-token-invalid-since": "2026-01-02"}
			}, account,
			"a token that the cluster does not accept since 2026-01-02",
		},
		"no account":                      {nil, nil, "the token of a service account that does not exist"},
		"an account that was made again":  {nil, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "brane", UID: "u2"}}, "the token of another service account"},
		"the annotation of another":       {func(s *corev1.Secret) { s.Annotations[corev1.ServiceAccountNameKey] = "other" }, account, "the token of another service account"},
		"the UID of another":              {func(s *corev1.Secret) { s.Annotations[corev1.ServiceAccountUIDKey] = "u2" }, account, "the token of another service account"},
		"the token of another":            {func(s *corev1.Secret) { s.Data["token"] = []byte(token(strings.Replace(own, "brane", "other", 1))) }, account, "the token of another service account"},
		"the token of another namespace":  {func(s *corev1.Secret) { s.Data["token"] = []byte(token(strings.Replace(own, ":ns:", ":other:", 1))) }, account, "the token of another service account"},
		"the token of an earlier account": {func(s *corev1.Secret) { s.Data["token"] = []byte(token(strings.Replace(own, "u1", "u0", 1))) }, account, "the token of another service account"},
		"a token without the UID":         {func(s *corev1.Secret) { s.Data["token"] = []byte(token(`{"sub":"system:serviceaccount:ns:brane"}`)) }, account, ""},
		"some other text":                 {func(s *corev1.Secret) { s.Data["token"] = []byte("geheim") }, account, "no token"},
		"a payload that is no JSON":       {func(s *corev1.Secret) { s.Data["token"] = []byte(token("x")) }, account, "no token"},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.ServiceAccountNameKey: "brane", corev1.ServiceAccountUIDKey: "u1"}},
				Type:       corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"token": []byte(token(own))},
			}
			if tt.edit != nil {
				tt.edit(secret)
			}
			got := DescribeTokenSecret(secret, tt.account)
			if (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
