package clustertest

import (
	"testing"

	"k8s.io/apimachinery/pkg/util/version"
)

// RequireImageVolumes skips a test whose pods mount images unless the cluster has a version that does so by default. Those that `make test-kubernetes`
// starts have the default feature gates, as clusters of users do.
func RequireImageVolumes(t testing.TB) {
	t.Helper()
	const since = "1.35"
	server, err := Client(t).ServerVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if server.LessThan(version.MustParseGeneric(since)) {
		t.Skipf("image volumes are enabled by default since Kubernetes %s, and the cluster has %s", since, server)
	}
}
