package engine

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// An API server that does not answer the requests for events does not delay the loop: they are sent in the background, one for each step
// and at most four at a time.
func TestDiagnosisDoesNotBlock(t *testing.T) {
	t.Parallel()
	var steps []workflow.Step
	for i := range 2 * diagnosisLimit {
		steps = append(steps, workflow.Step{Name: fmt.Sprintf("step-%d", i)})
	}
	l := newTestLoop(t, steps...)
	var requests, open, most atomic.Int32
	answers := make(chan struct{})
	l.clients.Kube = newFakeClient(t, func(http.ResponseWriter, *http.Request) any {
		requests.Add(1)
		most.Store(max(most.Load(), open.Add(1)))
		<-answers
		open.Add(-1)
		event := corev1.Event{Reason: "FailedCreate", Message: "no such service account", LastTimestamp: metav1.Now()}
		return corev1.EventList{TypeMeta: metav1.TypeMeta{Kind: "EventList", APIVersion: "v1"}, Items: []corev1.Event{event}}
	})
	release := sync.OnceFunc(func() { close(answers) })
	t.Cleanup(release)
	begin := time.Now().Add(-time.Hour)
	for _, step := range steps {
		l.state.recordJob(step.Name, 1)
		l.timers[step.Name] = podTimer{since: begin, timeout: time.Second}
	}
	for range 3 {
		done := make(chan struct{})
		go func() { l.expirePodTimers(t.Context(), time.Now()); close(done) }()
		select {
		case <-done:
			if l.state.hasUnconfirmed() {
				t.Error("a step is unconfirmed without a reason")
			}
		case <-time.After(testenv.Patience):
			t.Fatal("the loop waits for events")
		}
	}
	if wake := l.nextWake(begin); !wake.Equal(begin) { // the next resync, which is not set
		t.Errorf("the loop would wake at %s", wake)
	}
	release()
	for range steps {
		if err := l.handleSignal(t.Context(), <-l.signals.all); err != nil {
			t.Fatal(err)
		}
	}
	l.signals.waitForSenders()
	if requests.Load() != int32(len(steps)) || most.Load() > diagnosisLimit {
		t.Errorf("%d requests for %d steps, %d at a time", requests.Load(), len(steps), most.Load())
	}
	if l.expirePodTimers(t.Context(), time.Now()); l.state.phaseOf("step-0") != unconfirmed {
		t.Errorf("the step is in phase %d, its timer is %+v", l.state.phaseOf("step-0"), l.timers["step-0"])
	}
}

// What the answer to a diagnosis means.
func TestHandleDiagnosis(t *testing.T) {
	since := time.Now().Add(-time.Minute)
	for name, tt := range map[string]struct {
		reason, message string
		isOutdated      bool // the pod has changed since
		want            string
	}{
		"a pod that is only slow":          {"", "", false, "timeout 35s, since now"},
		"a reason":                         {"FailedCreate", "no such service account", false, "timeout 35s, FailedCreate: no such service account"},
		"a Secret that does not exist":     {"FailedMount", `MountVolume.SetUp failed for volume "x" : secret "no" not found`, false, `timeout 35s, FailedMount: MountVolume.SetUp failed for volume "x" : secret "no" not found`},
		"a driver that may start later":    {"FailedMount", "no such driver", false, "timeout 5m0s"},
		"a network that may start later":   {"FailedCreatePodSandBox", "no plugin", false, "timeout 5m0s"},
		"a volume that another pod has":    {"FailedAttachVolume", "in use", false, "timeout 5m0s"},
		"a quota that other pods have":     {"FailedCreate", "exceeded quota: pods", false, "timeout 5m0s"},
		"an answer that came after a pod":  {"FailedCreate", "forbidden", true, "timeout 35s"},
		"an answer of a timer that is new": {"", "", true, "timeout 35s"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLoop(t, workflow.Step{Name: "a"})
			timer := podTimer{since: since, timeout: workflow.DefaultStartupTimeout}
			l.timers["a"], l.diagnosing["a"] = timer, true
			if tt.isOutdated {
				timer.pod = "earlier"
			}
			l.handleDiagnosis(t.Context(), diagnosed{"a", timer, tt.reason, tt.message})
			found := l.timers["a"]
			got := fmt.Sprintf("timeout %s", found.timeout)
			if !found.since.Equal(since) {
				got += ", since now"
			}
			if found.reason != "" {
				got += ", " + found.reason + ": " + found.message
			}
			if got != tt.want || l.diagnosing["a"] {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
