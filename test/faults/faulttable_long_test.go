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

// tested is a fault at a moment, and the test of it.
type tested struct{ fault, moment, test string }

// elsewhere are faults that are tested without the CLI, or with other servers: the directory below internal, the test, the fault and the moment.
var elsewhere = [][4]string{
	{"brane/files", "TestSentinelFailsOver", "Sentinel fails over", "while files are stored; while files are staged in"},
	{"brane/files", "TestTransientReplies", "a server of a Cluster cannot write or be read for the moment", "while a commit is stored"},
	{"brane/files", "TestMissingKeyHidesNoOutage", "a server of a Cluster is suspended", "while commits are read"},
	{"brane/files", "TestLostChunksAreStoredAgain", "a fail-over loses chunks", "while files are stored"},
	{"brane/files", "TestKilledWriterLeavesNoPermanentKeys", "the provider is killed", "while outputs are kept"},
	{"brane/workflow/engine", "TestTheJoiningOfManyIsStoredAgain", "a fail-over loses chunks", "while indexes are merged"},
	{"brane/workflow/engine", "TestTheRunsUserIsRemovedMeanwhile", "the Redis user of the run is removed", "while a step runs"},
	{"brane/workflow/engine", "TestRedisDeniesExecution", "Redis denies commands", "while a step runs"},
	{"brane/workflow/engine", "TestCredentialDeniedForAWhile", "the API server answers with 401", "while a step runs"},
	{"brane/workflow/engine", "TestAnswerLost", "the response of the API server is lost", "when a Job is created"},
	{"brane/workflow/engine", "TestWatchExpires", "a watch is too old", "while a step runs"},
	{"brane/workflow/engine", "TestJobDeletedUnseen", "a Job is deleted", "while the watch is broken"},
	{"brane/workflow/engine", "TestNamespaceDeleted", "the namespace is deleted", "while a step runs"},
	{"brane/workflow/engine", "TestRunDeleted", "the run is destroyed by another process", "while a step runs"},
	{"brane/workflow/engine", "TestLostLease", "another process takes over", "while a step runs"},
	{"brane/workflow/engine", "TestSleeperStopsNothing", "another process takes over", "while the process is stopped"},
	{"brane/workflow/engine", "TestPartsAcrossAKilledProcess", "the process is killed", "while indexes of a fan-out step run"},
	{"brane/workflow/engine", "TestPodsOfALostNode", "a node is lost", "while a step runs"},
	{"brane/workflow/engine", "TestEvictionsAreCounted", "a node is short of disk or memory", "while a step runs"},
	{"brane/workflow/engine", "TestQuotaThatOthersHold", "a quota is used up by others", "before a step has a pod"},
	{"brane/workflow/engine", "TestStepsWaitForRoomOfTheirRun", "there is no room", "before a step has a pod"},
	{"brane/workflow/engine", "TestTimeoutShowsWhatStepsWaitFor", "a Job is suspended, a pod has a scheduling gate", "before a step has a pod"},
	{"brane/workflow/engine", "TestAPodThatIsRefusedAtARetry", "a webhook denies a pod", "before a retry"},
	{"brane/workflow/engine", "TestSidecars", "a webhook adds sidecars", "while a step runs; when it has ended"},
	{"brane/workflow/engine", "TestSidecarsThatFail", "a sidecar fails", "while a step runs"},
	{"brane/workflow/engine", "TestUnstartedCommandsDoNotCount", "a node does not admit a pod, an agent does not reach Redis", "before the command starts"},
	{"brane/workflow/engine", "TestLongCompaction", "etcd is compacted", "while a step runs"},
	{"brane/workflow/engine", "TestLongRedisAway", "Redis is away", "while a step ends"},
	{"provider/workflowrun", "TestAccWorkflowRun_engineLost", "the engine's Job is deleted", "while a step runs"},
	{"provider/workflowrun", "TestAccWorkflowRun_engineNotNoted", "the provider is killed", "between the engine's Job and its record"},
	{"../test/faults", "TestLongRunOutagesOfTenMinutes", "the API server or Redis is away for 10 minutes", "while a step ends"},
}

// listTested returns all faults and moments with their tests.
func listTested(t *testing.T) (all []tested) {
	t.Helper()
	for _, c := range cells() {
		test := "TestLongRunFaultCells"
		if c.outcomes[c.at].isQuick {
			test = "TestAccRunFaultCells"
		}
		all = append(all, tested{c.name, c.at.name, test})
	}
	for _, name := range slices.Sorted(maps.Keys(runFaults)) {
		all = append(all, tested{name, "", "TestAccRunFaults"})
	}
	for _, name := range slices.Sorted(maps.Keys(outages)) {
		all = append(all, tested{name, "", "TestAccRunOutages"})
	}
	for _, row := range elsewhere {
		files, err := filepath.Glob(filepath.Join(acctest.RepositoryPath("internal"), row[0], "*_test.go"))
		acctest.NoError(t, err)
		isFound := false
		for _, file := range files {
			text, err := os.ReadFile(file)
			acctest.NoError(t, err)
			isFound = isFound || bytes.Contains(text, []byte("\nfunc "+row[1]+"("))
		}
		if !isFound {
			t.Errorf("internal/%s has no %s", row[0], row[1])
		}
		all = append(all, tested{row[2], row[3], row[1]})
	}
	return all
}

// TestLongFaultTable prints the table of faults, moments and tests, and checks that each test exists.
func TestLongFaultTable(t *testing.T) {
	all := listTested(t)
	if count := len(cells()); count < 80 {
		t.Errorf("there are %d cells", count)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, row := range all {
		fmt.Fprintf(table, "| %s\t%s\t%s\n", row.fault, row.moment, row.test)
	}
	acctest.NoError(t, table.Flush())
}
