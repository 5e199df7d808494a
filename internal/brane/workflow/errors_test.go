package workflow_test

import (
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The process that has taken over a run may have ended before the earlier holder notices.
func TestLostErrorNamesHolder(t *testing.T) {
	t.Parallel()
	for holder, want := range map[string]string{
		"ada on laptop, process 7": `run "r" was taken over by ada on laptop, process 7, because this process had not renewed its lease in time`,
		"":                         `run "r" was taken over by another process, which has ended, because this process had not renewed its lease in time`,
	} {
		if got := (&workflow.LostError{Run: "r", Holder: holder}).Error(); got != want {
			t.Errorf("holder %q: %s", holder, got)
		}
	}
}
