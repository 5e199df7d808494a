package record

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// What an engine writes can be read again, and fits into an object.
func TestOutcomeIsBounded(t *testing.T) {
	outcome := workflow.Outcome{Result: workflow.Result{Steps: map[string]workflow.StepResult{"one": {Status: workflow.Failed, Code: 3}}}, Problem: "why", Outputs: "sha256:1"}
	for i := range mostFailures + 1 {
		failure := &workflow.Failure{Step: fmt.Sprint(i), Message: "said"}
		failure.Reason, failure.Log = "OOMKilled", []string{"one", "two"}
		outcome.Failures = append(outcome.Failures, failure)
	}
	text, err := encodeOutcome(outcome)
	if err != nil {
		t.Fatal(err)
	}
	var got workflow.Outcome
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	outcome.Failures = outcome.Failures[:mostFailures]
	if !reflect.DeepEqual(got, outcome) {
		t.Errorf("got  %+v\nwant %+v", got, outcome)
	}
}

// The label of a run's objects names the same program as the managed fields of objects.
func TestManagedByIsTheFieldManager(t *testing.T) {
	if workflow.ManagedBy != kube.FieldManager {
		t.Errorf("%q is not %q", workflow.ManagedBy, kube.FieldManager)
	}
}
