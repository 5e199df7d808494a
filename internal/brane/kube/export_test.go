package kube

import "testing"

// LimitResponses sets the number of bytes that a response may have, until the test ends.
func LimitResponses(t *testing.T, most int64) {
	before := maxResponse
	maxResponse = most
	t.Cleanup(func() { maxResponse = before })
}
