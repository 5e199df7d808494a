// Package acctest holds what the acceptance tests of several packages share: their environment, the CLI, a proxy that injects faults, and the raw protocol.
package acctest

import (
	"os"
	"testing"
)

// Main runs the tests of a package; its TestMain calls it. With TF_ACC, the providers of the tests have the documented permissions.
func Main(m *testing.M) {
	if os.Getenv("TF_ACC") == "" {
		os.Exit(m.Run())
	}
	directory, err := os.MkdirTemp("", "brane-acctest-*")
	if err != nil {
		panic(err)
	}
	remove, err := useDocumentedPermissions(directory)
	if err != nil {
		panic(err)
	}
	code := m.Run()
	if err := remove(); err != nil {
		panic(err)
	}
	if err := os.RemoveAll(directory); err != nil {
		panic(err)
	}
	os.Exit(code)
}
