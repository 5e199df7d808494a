package infrastructure_test

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// editedInstance is a Brane instance whose files another process edits while the provider waits for the API server.
type editedInstance struct {
	*acctest.Protocol
	directory string
	host      string
	during    func() // called while the provider requests or verifies a token
}

func newEditedInstance(t *testing.T) *editedInstance {
	t.Helper()
	i := &editedInstance{Protocol: acctest.NewProtocol(t), directory: t.TempDir(), during: func() {}}
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/token"):
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","status":{"token":%q,"expirationTimestamp":"2030-01-01T00:00:00Z"}}`, fakeToken("new"))
		case strings.HasSuffix(r.URL.Path, "selfsubjectaccessreviews"):
			i.during()
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{},"status":{"allowed":true}}`))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(api.Close)
	i.host = strings.TrimPrefix(api.URL, "https://")
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}))
	i.RequireNoErrors(i.Configure(acctest.Object{
		"kubernetes":    acctest.Object{"host": api.URL, "cluster_ca_certificate": ca, "token": "admin"},
		"control_plane": acctest.Object{"directory": i.directory},
	}, false).Diagnostics)
	return i
}

func fakeToken(id string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"system:serviceaccount:team:brane","iat":1800000000,"exp":1900000000,"jti":"`+id+`"}`)) + ".c2ln"
}

func (i *editedInstance) location() acctest.Object {
	return acctest.Object{
		"name": "compute", "namespace": "team", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052",
		"credentials": acctest.Object{"service_account": "brane"},
	}
}

func (i *editedInstance) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(i.directory, name))
	acctest.NoError(t, err)
	return string(text)
}

func (i *editedInstance) write(t *testing.T, name, text string) {
	t.Helper()
	acctest.NoError(t, os.WriteFile(filepath.Join(i.directory, name), []byte(text), 0o600))
}

// withToken returns secrets.yml with another token of the service account.
func (i *editedInstance) withToken(t *testing.T, id string) string {
	t.Helper()
	_, encoded, _ := strings.Cut(i.read(t, "secrets.yml"), "compute: ")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	acctest.NoError(t, err)
	kubeconfig, err := credentials.Parse(raw)
	acctest.NoError(t, err)
	kubeconfig.Token = fakeToken(id)
	rendered, err := credentials.Render(*kubeconfig)
	acctest.NoError(t, err)
	return "compute: " + base64.StdEncoding.EncodeToString(rendered) + "\n"
}

func TestRotateKeepsConcurrentEdits(t *testing.T) {
	for name, tt := range map[string]struct {
		edit    func(infra string) string
		rotates bool
	}{
		"another registry": {func(infra string) string {
			return strings.Replace(infra, "registry: 198.51.100.10", "registry: 203.0.113.9", 1)
		}, true},
		"another namespace": {func(infra string) string { return strings.Replace(infra, "namespace: team", "namespace: other", 1) }, false},
		"removed":           {func(string) string { return "locations: {}\n" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			i := newEditedInstance(t)
			i.RequireNoErrors(i.NewLifecycle("brane_infrastructure").Apply(i.location()))
			old := i.withToken(t, "old")
			i.write(t, "secrets.yml", old)
			edited := tt.edit(i.read(t, "infra.yml"))
			i.during = func() { i.write(t, "infra.yml", edited) }
			said := i.Invoke("brane_rotate_credential", acctest.Object{"infrastructure": "compute"})
			if got := i.read(t, "infra.yml"); got != edited {
				t.Errorf("the other edit is lost:\n%s", got)
			}
			if rotated := i.read(t, "secrets.yml") != old; rotated != tt.rotates {
				t.Errorf("the token is replaced: %v\n%s", rotated, strings.Join(said, "\n"))
			}
		})
	}
}

func TestUpdateAndRotateKeepATokenOfAnotherProcess(t *testing.T) {
	for name, change := range map[string]func(*editedInstance, *acctest.Lifecycle) string{
		"update": func(i *editedInstance, l *acctest.Lifecycle) string {
			config := i.location()
			config["registry"] = "203.0.113.9:50050"
			return acctest.FormatDiagnostics(l.Apply(config))
		},
		"rotate": func(i *editedInstance, _ *acctest.Lifecycle) string {
			return strings.Join(i.Invoke("brane_rotate_credential", acctest.Object{"infrastructure": "compute"}), "\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := newEditedInstance(t)
			l := i.NewLifecycle("brane_infrastructure")
			i.RequireNoErrors(l.Apply(i.location()))
			before, other := i.read(t, "infra.yml"), i.withToken(t, "of another process")
			i.during = func() { i.write(t, "secrets.yml", other) }
			if got := change(i, l); !strings.Contains(got, "another process has changed the registration meanwhile") {
				t.Errorf("got %s", got)
			}
			if i.read(t, "secrets.yml") != other || i.read(t, "infra.yml") != before {
				t.Error("the token of the other process is lost")
			}
		})
	}
}
