//go:build long

package provider_test

import (
	"math"
	"testing"
)

func TestLongNullAndUnknownParts(t *testing.T) { testNullAndUnknownParts(t, math.MaxInt) }
