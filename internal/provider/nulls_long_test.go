//go:build long

package provider_test

import "testing"

func TestLongNullAndUnknownParts(t *testing.T) { testNullAndUnknownParts(t, 1_000_000) }
