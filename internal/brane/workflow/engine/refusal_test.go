package engine

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// refuseJobs lets a loop use an API server that gives this answer to the creation of a Job whose name contains a text, and accepts others. It returns
// the names of the steps of those.
func refuseJobs(t *testing.T, l *loop, of string, answer metav1.Status) (accepted *[]string) {
	t.Helper()
	answer.TypeMeta, answer.Status = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, metav1.StatusFailure
	accepted = &[]string{}
	execution := *l.Execution
	execution.clients.Kube = newFakeClient(t, func(w http.ResponseWriter, r *http.Request) any {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/jobs") {
			return answerEmpty(w, r)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(body), of) {
			w.WriteHeader(int(answer.Code))
			return answer
		}
		for _, step := range l.spec.Graph.Steps() {
			if strings.Contains(string(body), "brane-run-"+step) {
				*accepted = append(*accepted, step)
			}
		}
		return answerEmpty(w, r)
	})
	l.Execution = &execution
	return accepted
}

// A Job that the API server does not accept is a failure of its step: others start and continue.
func TestJobRefused(t *testing.T) {
	forbidden := func(message string) metav1.Status {
		return metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: message}
	}
	for name, tt := range map[string]struct {
		answer   metav1.Status
		isAtOnce bool
		advice   string
	}{
		"a quota without Jobs": {
			forbidden(`jobs.batch "x" is forbidden: exceeded quota: none, requested: count/jobs.batch=1, used: count/jobs.batch=3, limited: count/jobs.batch=0`), true, "ResourceQuota \"none\"",
		},
		"a Job that is not valid": {
			metav1.Status{Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: `Job.batch "x" is invalid: spec.template.spec.x`}, true, "Correct what the message names",
		},
		"a Job that is too large": {
			metav1.Status{Code: http.StatusRequestEntityTooLarge, Reason: metav1.StatusReasonRequestEntityTooLarge, Message: "limit is 3145728"}, true, "Correct what the message names",
		},
		"a policy": {
			metav1.Status{Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: `jobs.batch "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no`}, true, "ValidatingAdmissionPolicy \"p\"",
		},
		"a webhook": {forbidden(`admission webhook "w" denied the request: no Jobs`), false, "Admission webhook \"w\""},
		"a webhook that answers that the Job is not found": {
			metav1.Status{Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: `admission webhook "w" denied the request: no queue`}, true, "Admission webhook \"w\"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, _, _ := openLoop(t, workflow.Step{Name: "long"}, workflow.Step{Name: "optional", AllowFailure: true}, workflow.Step{Name: "other"})
			accepted := refuseJobs(t, l, "brane-run-optional", tt.answer)
			l = newLoop(l.Execution)
			if err := l.settleSteps(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.state.recordJob("long", 1)
			start := func() {
				t.Helper()
				l.nextRetry = time.Time{}
				if err := l.startSteps(t.Context(), l.state.decide().ready); err != nil {
					t.Fatalf("the refusal ends the run: %v", err)
				}
			}
			start()
			if phase := l.state.phaseOf("optional"); (phase == unconfirmed) != tt.isAtOnce {
				t.Fatalf("after the first answer, the phase is %d", phase)
			}
			if !tt.isAtOnce {
				l.deniedJobs["optional"] = time.Now().Add(-kube.StartupTime)
				start()
			}
			if err := l.settleSteps(t.Context()); err != nil {
				t.Fatal(err)
			}
			if l.state.phaseOf("optional") != failed || l.state.phaseOf("long") != running || l.state.phaseOf("other") != running || len(*accepted) != 1 {
				t.Errorf("the phases are %d, %d and %d; created: %q", l.state.phaseOf("optional"), l.state.phaseOf("long"), l.state.phaseOf("other"), *accepted)
			}
			if len(l.failures) != 1 {
				t.Fatalf("there are %d failures", len(l.failures))
			}
			detail := l.failures[0].Detail()
			for _, part := range []string{workflow.ReasonJobRefused, tt.answer.Message, tt.advice} {
				if !strings.Contains(detail, part) {
					t.Errorf("%q is missing in %s", part, detail)
				}
			}
		})
	}
}

// A missing permission, and a namespace that is being deleted, are no failure of a step: they end the run, or last until the credential is renewed.
func TestJobsDenied(t *testing.T) {
	denial := metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: `jobs.batch is forbidden: User "u" cannot create resource "jobs" in API group "batch" in the namespace "brane"`}
	l, _, _ := openLoop(t, workflow.Step{Name: "first"}, workflow.Step{Name: "second"})
	refuseJobs(t, l, "", denial)
	l = newLoop(l.Execution)
	if err := l.settleSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.startSteps(t.Context(), []string{"first"}); err != nil {
		t.Fatal(err)
	}
	l.nextRetry, l.deniedJobs["first"] = time.Time{}, time.Now().Add(-kube.StartupTime)
	if err := l.detectChangedJobs(t.Context()); err != nil { // the resync, which is allowed
		t.Fatal(err)
	}
	if err := l.startSteps(t.Context(), []string{"first"}); err == nil || !strings.Contains(err.Error(), "cannot create resource") {
		t.Errorf("without any Job, the run continues: %v", err)
	}
	l.state.recordJob("second", 1)
	if err := l.startSteps(t.Context(), []string{"first"}); err != nil {
		t.Errorf("while a step runs, the denial ends the run: %v", err)
	}
}

// An early Job that is refused is created again when its needs have ended.
func TestEarlyJobRefused(t *testing.T) {
	l, _, _ := openLoop(t, workflow.Step{Name: "a"}, workflow.Step{Name: "b", Needs: []string{"a"}})
	refuseJobs(t, l, "brane-run-b", metav1.Status{Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: "no"})
	l = newLoop(l.Execution)
	if err := l.settleSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.state.recordJob("a", 1)
	if err := l.startSteps(t.Context(), []string{"b"}); err != nil {
		t.Fatal(err)
	}
	if step := l.state.steps["b"]; step.phase != pending || !step.isPrewarmForbidden {
		t.Errorf("the step is %+v", *step)
	}
}

// A refusal that is not allowed fails the run: no other step starts in the same pass.
func TestRefusedJobEndsTheRun(t *testing.T) {
	l, _, _ := openLoop(t, workflow.Step{Name: "bad"}, workflow.Step{Name: "other"}, workflow.Step{Name: "third"})
	accepted := refuseJobs(t, l, "brane-run-bad", metav1.Status{Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: "no"})
	l = newLoop(l.Execution)
	if err := l.settleSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.startSteps(t.Context(), l.state.decide().ready); err != nil {
		t.Fatal(err)
	}
	if l.state.phaseOf("bad") != unconfirmed || len(*accepted) > 0 {
		t.Errorf("the step is in phase %d, and these have started: %q", l.state.phaseOf("bad"), *accepted)
	}
}

// A Job that waits for the cluster is not needed any more: the run does not wait for it, neither with passes without a pause nor in its status.
func TestPostponementEnds(t *testing.T) {
	l, _, events := openLoop(t, workflow.Step{Name: "waits"})
	l.postponeRequest(errors.New("a quota"))
	l.postponedSince = time.Now().Add(-time.Hour)
	for l.nextRetry.After(time.Now()) {
		l.nextRetry = time.Now().Add(-time.Millisecond)
	}
	if err := l.startSteps(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if wake := l.nextWake(time.Now()); !l.nextRetry.IsZero() || !l.postponedSince.IsZero() || !strings.Contains(strings.Join(*events, " "), "no Job waits for the cluster any more") {
		t.Errorf("the loop wakes at %s, and has reported %q", wake, *events)
	}
}
