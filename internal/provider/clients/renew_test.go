package clients_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
)

// A client with registered credentials continues after their token was rejected: with the token that another apply has registered since, or with one that the
// provider's own account requests. It does not send the token of another API server.
func TestRejectedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	const owner = "owner"
	first, second, requested := serviceAccountToken("first"), serviceAccountToken("second"), serviceAccountToken("requested")
	for name, tt := range map[string]struct {
		registered string // token, at the moment of the rejection
		elsewhere  bool   // with the address of another API server
		asOwner    bool   // the provider block has the same cluster
		want       []string
		fails      bool
	}{
		"renewed by another apply":              {registered: second, want: []string{first, second}},
		"renewed, and the provider can as well": {registered: second, asOwner: true, want: []string{first, second}},
		"not renewed":                           {registered: first, want: []string{first}, fails: true},
		"requested":                             {registered: first, asOwner: true, want: []string{first, owner, requested}},
		"another cluster":                       {registered: second, elsewhere: true, want: []string{first}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var received []string
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				received = append(received, token)
				mu.Unlock()
				switch {
				case token == first:
					w.WriteHeader(http.StatusUnauthorized)
				case len(body) == 0:
					t.Errorf("the request with %q has no body", token)
				case strings.HasSuffix(r.URL.Path, "/token"):
					answer(t, w, "authentication.k8s.io/v1", "TokenRequest", &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{Token: requested}})
				default:
					answer(t, w, "v1", "ConfigMap", &corev1.ConfigMap{})
				}
			}))
			t.Cleanup(server.Close)
			c := &clients.Clients{ControlPlane: clients.ControlPlane{Directory: t.TempDir(), Version: infra.V06}}
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			if tt.asOwner {
				c.AddCluster("", &kube.Connection{Host: server.URL, Token: owner, ClusterCACertificate: string(ca)})
			}
			store, err := c.ConfigStore()
			acctest.NoError(t, err)
			location := infra.Location{Name: "compute", Address: strings.TrimPrefix(server.URL, "https://"), Namespace: "brane", Registry: "r:1", CallbackTo: "http://198.51.100.10:50052", SecretName: "compute"}
			render := func(url, token string) []byte {
				text, err := credentials.Render(credentials.Kubeconfig{Server: url, CA: ca, Token: token, Namespace: "brane"})
				acctest.NoError(t, err)
				return text
			}
			acctest.NoError(t, infra.Create(t.Context(), store, location, render(server.URL, first)))
			found, err := c.ConnectInfrastructure(t.Context(), "compute")
			acctest.NoError(t, err)
			url := server.URL
			if tt.elsewhere {
				url = "https://203.0.113.7:6443"
			}
			acctest.NoError(t, infra.Unregister(t.Context(), store, "compute", "compute"))
			acctest.NoError(t, infra.Create(t.Context(), store, location, render(url, tt.registered)))
			err = found.Kube.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "brane", Name: "run"}})
			if (err != nil) != tt.fails {
				t.Errorf("the request ended with %v", err)
			}
			if strings.Join(received, " ") != strings.Join(tt.want, " ") {
				t.Errorf("the server received %q, want %q", received, tt.want)
			}
		})
	}
}

// serviceAccountToken returns an unsigned token of the service account brane.
func serviceAccountToken(id string) string {
	encode := base64.RawURLEncoding.EncodeToString
	claims := fmt.Sprintf(`{"sub":"system:serviceaccount:brane:brane","jti":%q,"exp":%d}`, id, time.Now().Add(time.Hour).Unix())
	return encode([]byte(`{"alg":"none"}`)) + "." + encode([]byte(claims)) + ".signature"
}

// answer writes an object as an API server does.
func answer(t *testing.T, w http.ResponseWriter, apiVersion, kind string, object any) {
	t.Helper()
	text, err := json.Marshal(object)
	acctest.NoError(t, err)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"apiVersion":%q,"kind":%q,%s`, apiVersion, kind, text[1:])
}
