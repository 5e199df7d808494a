package namespace_test

import (
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// If a cluster becomes unreachable, its resources are planned with their last known state, those of another cluster are refreshed and updated, and nothing blocks.
func TestAccClusters_away(t *testing.T) {
	t.Parallel()
	berlin, bergen := newTrial(t), newTrial(t)
	connect := func(s *acctest.Protocol) {
		t.Helper()
		s.RequireNoErrors(s.Configure(acctest.Object{"clusters": acctest.Object{
			"berlin": acctest.Object{"host": berlin.URL, "token": "unused"}, "bergen": acctest.Object{"host": bergen.URL, "token": "unused"},
		}}, false).Diagnostics)
	}
	connect(berlin.Protocol)
	bergen.Protocol = berlin.Protocol // one provider for both
	configs := map[string]acctest.Object{}
	for cluster, c := range map[string]trial{"berlin": berlin, "bergen": bergen} {
		configs[cluster] = acctest.Object{"name": c.Namespace, "cluster": cluster}
		if cluster == "bergen" {
			configs[cluster]["timeouts"] = acctest.Object{"read": "2s", "update": "2s", "delete": "2s"}
		}
		c.RequireNoErrors(c.Apply(configs[cluster]))
	}
	for _, c := range []trial{berlin, bergen} {
		acctest.NoError(t, c.Client.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "brane"}}))
	}
	bergen.FailRequests(1, 1000, acctest.Faults[len(acctest.Faults)-1]) // no answer
	connect(berlin.Protocol)

	before := bergen.State
	want := fmt.Sprintf(`WARNING: Cluster unreachable: Cluster "bergen" at %s is unreachable, so that namespace %q was not refreshed; the plan uses its last known state. `+
		"Resources in other clusters are not affected.\n\n", bergen.URL, bergen.Namespace)
	for range 3 {
		if got := acctest.FormatDiagnostics(bergen.Refresh()); !strings.HasPrefix(got, want) || !strings.Contains(got, "not finished after 2s (timeouts.read)") {
			t.Errorf("got  %s\nwant %s…", got, want)
		}
	}
	if asked := bergen.CountRequests(); asked > 7 {
		t.Errorf("it was asked %d times; the first refresh alone needs 7", asked)
	}
	if _, changes := bergen.PlanChange(configs["bergen"]); changes || !bergen.HasState(before) {
		t.Error("something is planned in the unreachable cluster")
	}
	if diagnostics := bergen.Apply(nil); !acctest.HasErrors(diagnostics) || !bergen.Exists() {
		t.Errorf("it cannot be deleted, and this is what was said: %s", acctest.FormatDiagnostics(diagnostics))
	}

	berlin.RequireNoErrors(berlin.Refresh())
	if _, changes := berlin.PlanChange(configs["berlin"]); !changes {
		t.Error("drift in the cluster that answers was not seen")
	}
	berlin.RequireNoErrors(berlin.Apply(configs["berlin"]))
	berlin.RequireNoErrors(berlin.Refresh())
	if _, changes := berlin.PlanChange(configs["berlin"]); changes {
		t.Error("and was not repaired")
	}
}
