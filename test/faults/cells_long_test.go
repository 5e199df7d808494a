//go:build long

package faults_test

import "testing"

// TestLongRunFaultCells tests all cells.
func TestLongRunFaultCells(t *testing.T) {
	t.Parallel()
	for _, c := range cells() {
		t.Run(c.String(), c.runTest)
	}
}
