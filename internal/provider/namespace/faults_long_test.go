//go:build long

package namespace_test

import "testing"

// Each request meets each fault. The tests without the build tag select two faults for a request, because each needs a separate namespace.
func TestLongAccNamespaceFaults(t *testing.T) {
	t.Parallel()
	t.Run("create", func(t *testing.T) { testFaultsOfCreate(t, everyFault) })
	t.Run("update", func(t *testing.T) { testFaultsOfUpdate(t, everyFault) })
}
