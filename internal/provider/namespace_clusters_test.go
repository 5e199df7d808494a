package provider_test

import (
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// If a cluster becomes unreachable, its resources are planned with their last known state, those of another cluster are refreshed and updated, and nothing blocks.
func TestAccClusters_away(t *testing.T) {
	t.Parallel()
	berlin, bergen := newTrial(t), newTrial(t)
	connect := func(s *speaker) {
		t.Helper()
		s.ok(s.configure(object{"clusters": object{
			"berlin": object{"host": berlin.URL, "token": "unused"}, "bergen": object{"host": bergen.URL, "token": "unused"},
		}}, false).Diagnostics)
	}
	connect(berlin.speaker)
	bergen.speaker = berlin.speaker // one provider for both
	configs := map[string]object{}
	for cluster, c := range map[string]trial{"berlin": berlin, "bergen": bergen} {
		configs[cluster] = object{"name": c.namespace, "cluster": cluster}
		if cluster == "bergen" {
			configs[cluster]["timeouts"] = object{"read": "2s", "update": "2s", "delete": "2s"}
		}
		c.ok(c.apply(configs[cluster]))
	}
	for _, c := range []trial{berlin, bergen} {
		must(t, c.client.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "brane"}}))
	}
	bergen.shut(1, 1000, faults[len(faults)-1]) // no answer
	connect(berlin.speaker)

	before := bergen.state
	want := fmt.Sprintf(`WARNING: Cluster unreachable: Cluster "bergen" at %s is unreachable, so that namespace %q was not refreshed; the plan uses its last known state. `+
		"Resources in other clusters are not affected.\n\n", bergen.URL, bergen.namespace)
	for range 3 {
		if got := tell(bergen.refresh()); !strings.HasPrefix(got, want) || !strings.Contains(got, "not finished after 2s (timeouts.read)") {
			t.Errorf("got  %s\nwant %s…", got, want)
		}
	}
	if asked := bergen.requests(); asked > 7 {
		t.Errorf("it was asked %d times; the first refresh alone needs 7", asked)
	}
	if _, changes := bergen.planned(configs["bergen"]); changes || !bergen.is(before) {
		t.Error("something is planned in the unreachable cluster")
	}
	if diagnostics := bergen.apply(nil); !failed(diagnostics) || !bergen.there() {
		t.Errorf("it cannot be deleted, and this is what was said: %s", tell(diagnostics))
	}

	berlin.ok(berlin.refresh())
	if _, changes := berlin.planned(configs["berlin"]); !changes {
		t.Error("drift in the cluster that answers was not seen")
	}
	berlin.ok(berlin.apply(configs["berlin"]))
	berlin.ok(berlin.refresh())
	if _, changes := berlin.planned(configs["berlin"]); changes {
		t.Error("and was not repaired")
	}
}
