package record

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
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

// An outcome of any size fits into the record, with at least one failure.
func TestLargeOutcomeFits(t *testing.T) {
	for name, tt := range map[string]struct {
		succeeded, skipped, failures int
		log                          string
	}{
		"many succeeded steps":   {succeeded: 10_000},
		"many skipped steps":     {skipped: 10_000, failures: 1, log: "x"},
		"failures with controls": {succeeded: 10_000, skipped: 9_000, failures: 40, log: strings.Repeat("\x01", 7<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := workflow.Outcome{Result: workflow.Result{Steps: map[string]workflow.StepResult{}}, Problem: strings.Repeat("x", 2<<20)}
			for i := range tt.succeeded {
				outcome.Steps[fmt.Sprintf("succeeded-%025d", i)] = workflow.StepResult{Status: workflow.Succeeded, Started: time.Now(), Ended: time.Now(), Layer: files.Layer(strings.Repeat("x", 71))}
			}
			for i := range tt.skipped {
				outcome.Steps[fmt.Sprintf("skipped-%025d", i)] = workflow.StepResult{Status: workflow.Skipped}
			}
			for i := range tt.failures {
				failure := &workflow.Failure{Step: fmt.Sprint(i)}
				failure.Log = []string{tt.log}
				outcome.Failures, outcome.Allowed = append(outcome.Failures, failure), append(outcome.Allowed, failure)
			}
			text, err := encodeOutcome(outcome)
			var got workflow.Outcome
			if err == nil {
				err = json.Unmarshal([]byte(text), &got)
			}
			if err != nil || len(text) > maxOutcome || len(got.Failures) < min(tt.failures, 1) || len(got.Steps) < tt.skipped {
				t.Errorf("%d bytes with %d failures and %d steps: %v", len(text), len(got.Failures), len(got.Steps), err)
			}
			if len(outcome.Steps) != tt.succeeded+tt.skipped {
				t.Error("encoding has changed the outcome")
			}
		})
	}
}

// The label of a run's objects names the same program as the managed fields of objects.
func TestManagedByIsTheFieldManager(t *testing.T) {
	if workflow.ManagedBy != kube.FieldManager {
		t.Errorf("%q is not %q", workflow.ManagedBy, kube.FieldManager)
	}
}

// What a record says about its lease.
func TestLeaseOfARecord(t *testing.T) {
	for name, tt := range map[string]struct {
		data   map[string]string
		holder string
		expiry string
	}{
		"a person":           {map[string]string{holderIdentity: "alice_b on laptop_X1", renewTime: "2026-01-02T03:04:05Z", leaseDurationSeconds: "30"}, "alice_b on laptop", "2026-01-02T03:04:35Z"},
		"an engine":          {map[string]string{holderIdentity: "pod p_0f5c-1", renewTime: "2026-01-02T03:04:05.5Z", leaseDurationSeconds: "6"}, "pod p", "2026-01-02T03:04:11Z"},
		"no duration":        {map[string]string{holderIdentity: "a_b", renewTime: "2026-01-02T03:04:05Z"}, "a", "2026-01-02T03:04:35Z"},
		"a released lease":   {map[string]string{holderIdentity: "", renewTime: "", leaseDurationSeconds: "30"}, "", "0001-01-01T00:00:00Z"},
		"a record of nobody": {nil, "", "0001-01-01T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			found := Record{&corev1.ConfigMap{Data: tt.data}}
			if held := found.hold(); held.holder() != tt.holder || held.expiry().Format(time.RFC3339) != tt.expiry || found.IsHeld() != (tt.holder != "") {
				t.Errorf("held by %q until %s", held.holder(), held.expiry())
			}
			if found.Status() != workflow.RunRunning || found.Engine() != "" {
				t.Errorf("status %s, engine %s", found.Status(), found.Engine())
			}
		})
	}
}
