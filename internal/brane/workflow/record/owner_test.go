package record

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A resource whose update was killed has the execution before in its state, and still owns the run. The resource of a run that another one has created
// again does not.
func TestOwners(t *testing.T) {
	object := &corev1.ConfigMap{Data: map[string]string{}}
	if !(Record{object}).IsOwnedBy("1") {
		t.Error("a run without an owner in its record is not owned")
	}
	for _, step := range []struct {
		what           string
		holder         Holder
		owners, others []string
	}{
		{"create", Holder{Execution: "1"}, []string{"1"}, []string{"", "2"}},
		{"update, killed", Holder{Execution: "2", Replaces: "1"}, []string{"1", "2"}, []string{"", "3"}},
		{"update again, killed", Holder{Execution: "3", Replaces: "1"}, []string{"1", "3"}, []string{"2"}},
		{"update, after one that has ended", Holder{Execution: "4", Replaces: "3"}, []string{"3", "4"}, []string{"1"}},
		{"an engine", Holder{}, []string{"3", "4"}, []string{"1"}},
		{"create by another resource", Holder{Execution: "5"}, []string{"5"}, []string{"", "3", "4"}},
	} {
		(&Lease{holder: step.holder}).setHolder(object)
		for _, id := range step.owners {
			if !(Record{object}).IsOwnedBy(id) {
				t.Errorf("%s: execution %q does not own the run", step.what, id)
			}
		}
		for _, id := range step.others {
			if (Record{object}).IsOwnedBy(id) {
				t.Errorf("%s: execution %q owns the run", step.what, id)
			}
		}
	}
}
