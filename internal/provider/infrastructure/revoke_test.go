package infrastructure_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The refresh before a destroy reads a namespace that was edited in infra.yml. The token that never expires is in the namespace of its service account, also if
// its kubeconfig is lost.
func TestRevokeAfterTheNamespaceWasEdited(t *testing.T) {
	for name, secrets := range map[string]string{"edited": "", "edited, and the kubeconfig is lost": "{}\n"} {
		t.Run(name, func(t *testing.T) { testRevoke(t, secrets) })
	}
}

// testRevoke edits infra.yml and, if there is a text for it, secrets.yml.
func testRevoke(t *testing.T, secrets string) {
	t.Helper()
	token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"system:serviceaccount:team:brane","kubernetes.io/serviceaccount/secret.name":"brane-token-abcdefgh","kubernetes.io/serviceaccount/service-account.uid":"u1"}`)) + ".c2ln"
	var mu sync.Mutex
	var asked []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Method+" "+r.URL.Path)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/v1/namespaces/team/serviceaccounts/brane":
			_ = json.NewEncoder(w).Encode(corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "brane", UID: "u1"}})
		case "/api/v1/namespaces/team/secrets/brane-token-abcdefgh":
			_ = json.NewEncoder(w).Encode(corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
				ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "brane-token-abcdefgh", Labels: map[string]string{"app.kubernetes.io/managed-by": "terraform-provider-brane", "app.kubernetes.io/component": "registered-token"},
					Annotations: map[string]string{"kubernetes.io/service-account.name": "brane", "kubernetes.io/service-account.uid": "u1"}},
				Type: corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"token": []byte(token)}})
		default:
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404, Message: "not found"})
		}
	}))
	defer api.Close()
	directory := t.TempDir()
	host := strings.TrimPrefix(api.URL, "http://")
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: "https://" + host, Token: token, Namespace: "team", Name: "compute"})
	acctest.NoError(t, err)
	acctest.NoError(t, os.WriteFile(filepath.Join(directory, "secrets.yml"), []byte("compute: "+base64.StdEncoding.EncodeToString(kubeconfig)+"\n"), 0o600))
	locations := "locations:\n  compute:\n    kind: kube\n    address: " + host + "\n    callback_to: http://198.51.100.10:50052\n    namespace: team\n    registry: 198.51.100.10:50050\n    credentials:\n      mechanism: config\n      file: s$compute\n"
	write := func(text string) {
		acctest.NoError(t, os.WriteFile(filepath.Join(directory, "infra.yml"), []byte(text), 0o600))
	}
	write(locations)

	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"kubernetes": acctest.Object{"host": api.URL}, "control_plane": acctest.Object{"directory": directory}}, false).Diagnostics)
	l := s.NewLifecycle("brane_infrastructure")
	state := acctest.Object{
		"name": "compute", "address": host, "namespace": "team", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052", "secret_name": "compute",
		"verify_credentials": false, "token_secret": "brane-token-abcdefgh", "fingerprint": credentials.Fingerprint(kubeconfig, []byte("compute")), "drift": []any{},
		"credentials": acctest.Object{"service_account": "brane", "long_lived": true},
	}
	l.State = s.EncodeObject(l.Schema(), state)
	s.RequireNoErrors(l.Refresh())

	write(strings.Replace(locations, "namespace: team", "namespace: other", 1))
	if secrets != "" {
		acctest.NoError(t, os.WriteFile(filepath.Join(directory, "secrets.yml"), []byte(secrets), 0o600))
	}
	s.RequireNoErrors(l.Refresh())
	s.RequireNoErrors(l.Apply(nil))
	if !slices.Contains(asked, "DELETE /api/v1/namespaces/team/secrets/brane-token-abcdefgh") {
		t.Error("the long-lived token is still valid")
	}
}
