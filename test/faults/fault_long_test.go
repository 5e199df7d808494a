//go:build long

package faults_test

import (
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
)

// All steps of a run that has succeeded run again when it is replaced.
func TestLongAccWorkflowRun_replaced(t *testing.T) {
	t.Parallel()
	s := heldrun.NewRun(t, "replaced", "", "/works")
	s.Server.Works.Store(true)
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
	s.CheckEnd(t, map[string]int{"first": 2, "slow": 2, "last": 2}, "-replace="+acctest.RunAddress)
	s.CheckNothingLeft(t)
}
