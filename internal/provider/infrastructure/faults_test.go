package infrastructure_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The API server that issues the token and stores the files becomes unavailable at each request of an apply and of a destroy, and recovers: they finish.
func TestAccInfrastructureFaults_away(t *testing.T) {
	t.Parallel()
	away := acctest.NewStatusFault(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable) // which client-go does not try again
	for name, longLived := range map[string]bool{"a token that expires": false, "a token for good": true} {
		begin := func(t *testing.T) (*acctest.FaultProxy, *acctest.Lifecycle, acctest.Object) {
			t.Helper()
			g, speaker, namespace := acctest.NewFaultProxy(t, (*httptest.Server).Start), acctest.NewProtocol(t), clustertest.Namespace(t)
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "brane"}}
			acctest.NoError(t, clustertest.Client(t).Create(t.Context(), account))
			speaker.RequireNoErrors(speaker.Configure(acctest.Object{
				"kubernetes":    acctest.Object{"host": g.URL, "token": "unused"},
				"control_plane": acctest.Object{"kubernetes_secret": acctest.Object{"namespace": namespace, "name": "config"}},
			}, false).Diagnostics)
			return g, speaker.NewLifecycle("brane_infrastructure"), acctest.Object{
				"name": "compute", "namespace": namespace, "address": "127.0.0.1:1", "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052", "verify_credentials": false,
				"credentials": acctest.Object{"service_account": account.Name, "long_lived": longLived},
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clean, l, config := begin(t)
			l.RequireNoErrors(l.Apply(config))
			for n := 1; n <= clean.CountRequests(); n++ {
				t.Run(fmt.Sprintf("at request %d", n), func(t *testing.T) {
					t.Parallel()
					g, l, config := begin(t)
					g.FailRequests(n, 2, away)
					l.RequireNoErrors(l.Apply(config))
					g.FailRequest(0, away) // an apply that polled less often has sent fewer requests than n
					l.RequireNoErrors(l.Refresh())
					if _, changes := l.PlanChange(config); changes || !l.Exists() {
						t.Error("the plan after it is not empty")
					}
					g.FailRequests(n, 2, away)
					l.RequireNoErrors(l.Apply(nil))
				})
			}
		})
	}
}
