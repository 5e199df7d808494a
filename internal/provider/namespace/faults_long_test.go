//go:build long

package namespace_test

import (
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Each request meets each fault. The tests without the build tag select two faults for a request, because each needs a separate namespace.
func TestLongAccNamespaceFaults(t *testing.T) {
	t.Parallel()
	all := func(int) []acctest.Fault { return acctest.Faults }
	t.Run("create", func(t *testing.T) { testFaultsOfCreate(t, all) })
	t.Run("update", func(t *testing.T) { testFaultsOfUpdate(t, all) })
	t.Run("delete", func(t *testing.T) { testFaultsOfDelete(t, all) })
}
