//go:build long

package engine

import "testing"

// More graphs and edits than those of TestIncremental.
func TestLongIncremental(t *testing.T) { testIncremental(t, incrementalCases, 100_000) }
