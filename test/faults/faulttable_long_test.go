//go:build long

package faults_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"text/tabwriter"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// testedFault is a fault of a resource at a moment, and the test of it.
type testedFault struct{ resource, fault, moment, test, folder string }

// The resources whose faults are tested.
const (
	ofRun            = "brane_workflow_run"
	ofNamespace      = "brane_namespace"
	ofInfrastructure = "brane_infrastructure"
	ofFileSet        = "brane_file_set"
)

// apiFaults describes the faults in [acctest.Faults].
const apiFaults = "the API server answers with 401, 403, 409, 422, 429 or 500, resets the connection, or does not answer"

// elsewhere are faults that are tested next to the code that they are about, mostly without the CLI.
var elsewhere = []testedFault{
	{ofRun, "Sentinel fails over", "while files are stored; while files are staged in", "TestSentinelFailsOver", "internal/brane/files"},
	{ofRun, "a server of a Cluster cannot write or be read for the moment", "while a commit is stored", "TestTransientReplies", "internal/brane/files"},
	{ofRun, "a server of a Cluster is suspended", "while commits are read", "TestMissingKeyHidesNoOutage", "internal/brane/files"},
	{ofRun, "a fail-over loses chunks", "while files are stored", "TestLostChunksAreStoredAgain", "internal/brane/files"},
	{ofRun, "the provider is killed", "while outputs are kept", "TestKilledWriterLeavesNoPermanentKeys", "internal/brane/files"},
	{ofRun, "a fail-over loses chunks", "while indexes are merged", "TestTheJoiningOfManyIsStoredAgain", "internal/brane/workflow/engine"},
	{ofRun, "the Redis user of the run is removed", "while a step runs", "TestTheRunsUserIsRemovedMeanwhile", "internal/brane/workflow/engine"},
	{ofRun, "Redis denies commands", "while a step runs", "TestRedisDeniesExecution", "internal/brane/workflow/engine"},
	{ofRun, "the API server answers with 401", "while a step runs", "TestCredentialDeniedForAWhile", "internal/brane/workflow/engine"},
	{ofRun, "the response of the API server is lost", "when a Job is created", "TestAnswerLost", "internal/brane/workflow/engine"},
	{ofRun, "a watch is too old", "while a step runs", "TestWatchExpires", "internal/brane/workflow/engine"},
	{ofRun, "a Job is deleted", "while the watch is broken", "TestJobDeletedUnseen", "internal/brane/workflow/engine"},
	{ofRun, "the namespace is deleted", "while a step runs", "TestNamespaceDeleted", "internal/brane/workflow/engine"},
	{ofRun, "the run is destroyed by another process", "while a step runs", "TestRunDeleted", "internal/brane/workflow/engine"},
	{ofRun, "another process takes over", "while a step runs", "TestLostLease", "internal/brane/workflow/engine"},
	{ofRun, "another process takes over", "while the process is stopped", "TestSleeperStopsNothing", "internal/brane/workflow/engine"},
	{ofRun, "the process is killed", "while indexes of a fan-out step run", "TestPartsAcrossAKilledProcess", "internal/brane/workflow/engine"},
	{ofRun, "a node is lost", "while a step runs", "TestPodsOfALostNode", "internal/brane/workflow/engine"},
	{ofRun, "a node is short of disk or memory", "while a step runs", "TestEvictionsAreCounted", "internal/brane/workflow/engine"},
	{ofRun, "a quota is used up by others", "before a step has a pod", "TestQuotaThatOthersHold", "internal/brane/workflow/engine"},
	{ofRun, "there is no room", "before a step has a pod", "TestStepsWaitForRoomOfTheirRun", "internal/brane/workflow/engine"},
	{ofRun, "a Job is suspended, a pod has a scheduling gate", "before a step has a pod", "TestTimeoutShowsWhatStepsWaitFor", "internal/brane/workflow/engine"},
	{ofRun, "a webhook denies a pod", "before a retry", "TestAPodThatIsRefusedAtARetry", "internal/brane/workflow/engine"},
	{ofRun, "a webhook adds sidecars", "while a step runs; when it has ended", "TestSidecars", "internal/brane/workflow/engine"},
	{ofRun, "a sidecar fails", "while a step runs", "TestSidecarsThatFail", "internal/brane/workflow/engine"},
	{ofRun, "a node does not admit a pod, an agent does not reach Redis", "before the command starts", "TestUnstartedCommandsDoNotCount", "internal/brane/workflow/engine"},
	{ofRun, "etcd is compacted", "while a step runs", "TestLongCompaction", "internal/brane/workflow/engine"},
	{ofRun, "Redis is away", "while a step ends", "TestLongRedisAway", "internal/brane/workflow/engine"},
	{ofRun, "the engine's Job is deleted", "while a step runs", "TestLongAccWorkflowRun_engineLost", "internal/provider/workflowrun"},
	{ofRun, "the provider is killed", "between the engine's Job and its record", "TestLongAccWorkflowRun_engineNotNoted", "internal/provider/workflowrun"},
	{ofRun, "the API server or Redis is away for 10 minutes", "while a step ends", "TestLongRunOutagesOfTenMinutes", "test/faults"},
	{ofNamespace, apiFaults, "each request of create", "TestLongAccNamespaceFaults", "internal/provider/namespace"},
	{ofNamespace, apiFaults, "each request of refresh", "TestAccNamespaceFaults_read", "internal/provider/namespace"},
	{ofNamespace, apiFaults, "each request of update", "TestLongAccNamespaceFaults", "internal/provider/namespace"},
	{ofNamespace, apiFaults, "each request of destroy", "TestAccNamespaceFaults_delete", "internal/provider/namespace"},
	{ofNamespace, "the API server is away", "refresh of several clusters", "TestAccClusters_away", "internal/provider/namespace"},
	{ofInfrastructure, "the API server is away", "refresh", "TestAccInfrastructureFaults_away", "internal/provider/infrastructure"},
	{ofInfrastructure, "the registered token is revoked", "refresh", "TestAccInfrastructure_deadToken", "internal/provider/infrastructure"},
	{ofInfrastructure, "the response of the API server is lost", "each write of the Secret", "TestSecretStoreRepeatsLostRequests", "internal/brane/infra"},
	{ofInfrastructure, "another writer changes the Secret", "each write of the Secret", "TestSecretStoreConflictsEveryTime", "internal/brane/infra"},
	{ofInfrastructure, "the provider is killed", "each step of writing the files", "TestDirectoryStoreAfterAKilledWriter", "internal/brane/infra"},
	{ofInfrastructure, "the response of the API server is lost", "when a long-lived token is created", "TestLongLivedTokenRetries", "internal/brane/credentials"},
	{ofFileSet, "the provider is killed", "before the files are published", "TestAccFileSet_killedBeforePublishing", "internal/provider/fileset"},
}

// listTested returns all faults and moments with their tests.
func listTested(t *testing.T) (all []testedFault) {
	t.Helper()
	for _, c := range cells() {
		test := "TestLongRunFaultCells"
		if c.outcomes[c.at].isQuick {
			test = "TestAccRunFaultCells"
		}
		all = append(all, testedFault{resource: ofRun, fault: c.name, moment: c.at.name, test: test})
	}
	for test, rows := range map[string]map[string]runFault{"TestAccRunFaults": runFaults, "TestAccRunStops": stops, "TestLongRunFaultRows": outages} {
		for _, name := range slices.Sorted(maps.Keys(rows)) {
			row := testedFault{resource: ofRun, fault: name, test: test}
			if rows[name].isLong {
				row.test = "TestLongRunFaultRows"
			}
			all = append(all, row)
		}
	}
	for _, row := range elsewhere {
		files, err := filepath.Glob(filepath.Join(acctest.RepositoryPath(row.folder), "*_test.go"))
		acctest.NoError(t, err)
		isFound := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			acctest.NoError(t, err)
			isFound = isFound || bytes.Contains(text, []byte("\nfunc "+row.test+"("))
		}
		if !isFound {
			t.Errorf("%s has no %s", row.folder, row.test)
		}
	}
	return append(all, elsewhere...)
}

// TestLongFaultTable prints the table of faults, moments and tests, and checks that each test exists.
func TestLongFaultTable(t *testing.T) {
	all := listTested(t)
	if count := len(cells()); count < 80 {
		t.Errorf("there are %d cells", count)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range all {
		fmt.Fprintf(table, "| %s\t%s\t%s\t%s\n", row.resource, row.fault, row.moment, row.test)
	}
	acctest.NoError(t, table.Flush())
}
