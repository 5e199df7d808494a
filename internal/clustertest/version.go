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
	if server := serverVersion(t); server.LessThan(version.MustParseGeneric(since)) {
		t.Skipf("image volumes are enabled by default since Kubernetes %s, and the cluster has %s", since, server)
	}
}

// FailsJobsBeforeTheirPods reports whether a Job whose deadline has passed fails while its pods are still terminating. Since Kubernetes 1.31, it fails when
// they have ended.
func FailsJobsBeforeTheirPods(t testing.TB) bool {
	t.Helper()
	return serverVersion(t).LessThan(version.MustParseGeneric("1.31"))
}

// serverVersion returns the version of the API server.
func serverVersion(t testing.TB) *version.Version {
	t.Helper()
	server, err := Client(t).ServerVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return server
}
