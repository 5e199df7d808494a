//go:build long

package workflowrun_test

import "testing"

// The other rows of clusters.
func TestLongAccWorkflowRun_clusters(t *testing.T) {
	t.Parallel()
	testClusters(t, true)
}
