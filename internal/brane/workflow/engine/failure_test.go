package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// endedPod returns a pod with a container that has ended with a code; 0 means that none has ended.
func endedPod(name string, at int, container string, code int32, reason string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.Unix(int64(at), 0)}, Spec: corev1.PodSpec{NodeName: "n1"}}
	if code != 0 {
		pod.Status.Phase = corev1.PodFailed
		statuses := []corev1.ContainerStatus{{Name: container, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}}}
		if container == workflow.StepContainer {
			pod.Status.ContainerStatuses = statuses
		} else {
			pod.Status.InitContainerStatuses = statuses
		}
	}
	return pod
}

// besideSidecars adds sidecars that have failed as well to the status of a pod, before the step's container.
func besideSidecars(pod *corev1.Pod) *corev1.Pod {
	failed := corev1.ContainerStatus{Name: "a-sidecar", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error"}}}
	pod.Status.InitContainerStatuses = append([]corev1.ContainerStatus{failed}, pod.Status.InitContainerStatuses...)
	pod.Status.ContainerStatuses = append([]corev1.ContainerStatus{failed}, pod.Status.ContainerStatuses...)
	return pod
}

func TestHowAPodEnded(t *testing.T) {
	said := func(code int32) *corev1.Pod {
		pod := endedPod("p", 0, workflow.StepContainer, code, "Error")
		pod.Status.ContainerStatuses[0].State.Terminated.Message = "brane: step \"p\": it says why\n"
		return pod
	}
	evicted := endedPod("p", 0, workflow.StepContainer, 0, "")
	evicted.Status.Phase, evicted.Status.Reason, evicted.Status.Message = corev1.PodFailed, "Evicted", "Usage of EmptyDir volume \"data\" exceeds the limit \"20Mi\". "
	killed := endedPod("p", 0, workflow.StepContainer, 137, "Error")
	killed.Status.Reason, killed.Status.Message = evicted.Status.Reason, evicted.Status.Message
	preempted := said(204)
	preempted.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler, Message: "default-scheduler: preempting"}}
	rejected := endedPod("p", 0, workflow.StepContainer, 0, "")
	rejected.Status.Phase, rejected.Status.Reason, rejected.Status.Message = corev1.PodFailed, "OutOfcpu", "Pod was rejected: Node didn't have enough resource: cpu"
	waits := endedPod("p", 0, workflow.StepContainer, 0, "")
	waits.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: workflow.StepContainer, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}}
	part := endedPod("p", 0, workflow.StepContainer, 3, "Error")
	part.Labels = map[string]string{batchv1.JobCompletionIndexAnnotation: "2", indexLabel: "7"} // its Job runs only some of the indexes
	deleted := endedPod("p", 0, workflow.StepContainer, 143, "Error")
	deleted.DeletionTimestamp = new(metav1.Now())
	stopped := said(204)
	stopped.DeletionTimestamp = new(metav1.Now())
	for name, tt := range map[string]struct {
		pod    *corev1.Pod
		reason string
		want   string
	}{
		"by the program's own code": {endedPod("p", 0, workflow.StepContainer, 3, "Error"), "BackoffLimitExceeded", "pod p on node n1: the command failed with exit code 3 (Error)"},
		"out of memory":             {endedPod("p", 0, workflow.StepContainer, 137, "OOMKilled"), "BackoffLimitExceeded", "pod p on node n1: the command failed with exit code 137 (OOMKilled)"},
		"staging in":                {endedPod("p", 0, workflow.StageContainer, 1, "Error"), "BackoffLimitExceeded", "pod p on node n1: its files could not be staged in (exit code 1)"},
		"staging in, by the agent":  {said(201), "BackoffLimitExceeded", "pod p on node n1: its files could not be staged in (exit code 201)"},
		"staging out":               {said(202), "BackoffLimitExceeded", "pod p on node n1: its files could not be stored (exit code 202)"},
		"no result":                 {said(203), "BackoffLimitExceeded", "pod p on node n1: its package returned no usable result (exit code 203)"},
		"a program's own 201":       {endedPod("p", 0, workflow.StepContainer, 201, "Error"), "PodFailurePolicy", "pod p on node n1: the command failed with exit code 201 (Error)"},
		"a program's own 202":       {endedPod("p", 0, workflow.StepContainer, 202, "Error"), "PodFailurePolicy", "pod p on node n1: the command failed with exit code 202 (Error)"},
		"stopped by its time":       {endedPod("p", 0, workflow.StepContainer, 143, "Error"), "DeadlineExceeded", "pod p on node n1: DeadlineExceeded"},
		"deleted":                   {deleted, "PodFailurePolicy", "pod p on node n1: the command failed with exit code 143 (Error) when the pod was deleted"},
		"stopped":                   {said(204), "JobDeleted", "pod p on node n1: JobDeleted"},
		"stopped before":            {said(204), "BackoffLimitExceeded", "pod p on node n1: it was stopped before its command had ended (exit code 204)"},
		"stopped while staging in":  {endedPod("p", 0, workflow.StageContainer, 204, "Error"), "BackoffLimitExceeded", "pod p on node n1: it was stopped before its command had ended (exit code 204)"},
		"deleted and stopped":       {stopped, "BackoffLimitExceeded", "pod p on node n1: it was stopped before its command had ended, because the pod was deleted (exit code 204)"},
		"cancelled":                 {said(205), "PodFailurePolicy", "pod p on node n1: it was stopped because the run was cancelled (exit code 205)"},
		"evicted":                   {evicted, "BackoffLimitExceeded", `pod p on node n1: Evicted: Usage of EmptyDir volume "data" exceeds the limit "20Mi"`},
		"evicted and killed":        {killed, "PodFailurePolicy", `pod p on node n1: Evicted: Usage of EmptyDir volume "data" exceeds the limit "20Mi" (exit code 137)`},
		"evicted after its time":    {killed, "DeadlineExceeded", "pod p on node n1: DeadlineExceeded"},
		"preempted":                 {preempted, "PodFailurePolicy", "pod p on node n1: PreemptionByScheduler: default-scheduler: preempting (exit code 204)"},
		"not admitted by the node":  {rejected, "BackoffLimitExceeded", "pod p on node n1: OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu"},
		"staging in without memory": {endedPod("p", 0, workflow.StageContainer, 137, "OOMKilled"), "BackoffLimitExceeded", "pod p on node n1: the agent's init container was killed because it used more memory than its limit, before the command started (OOMKilled, exit code 137)"},
		"beside a sidecar":          {besideSidecars(endedPod("p", 0, workflow.StepContainer, 3, "Error")), "PodFailurePolicy", "pod p on node n1: the command failed with exit code 3 (Error)"},
		"a failed injection":        {endedPod("p", 0, "istio-init", 3, "Error"), "BackoffLimitExceeded", "pod p on node n1: container istio-init, which is not part of the step but was added to its pod, failed with exit code 3 (Error)"},
		"no image":                  {waits, "ImagePullBackOff", "pod p on node n1: ImagePullBackOff"},
		"one of many":               {part, "FailedIndexes", "pod p (index 7) on node n1: the command failed with exit code 3 (Error)"},
	} {
		t.Run(name, func(t *testing.T) {
			end := newEnd(tt.pod, tt.reason)
			if got := end.DescribePod() + ": " + end.DescribeEnd(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// The remedy of a failure says what runs after the change that it recommends.
func TestRemediesSayWhatRuns(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(f *workflow.Failure)
		want   string
	}{
		"a step":             {func(*workflow.Failure) {}, "After such a change, only this step and those that need it run."},
		"an index":           {func(f *workflow.Failure) { f.Index = "3" }, "After such a change, only the indexes that have not completed run, and the steps that need this one."},
		"an allowed failure": {func(f *workflow.Failure) { f.IsAllowed = true }, "The failure is allowed, so it is the result of the step: to run the step again, also change a value in its triggers."},
		"its own code":       {func(f *workflow.Failure) { f.Reason = "Error" }, "See everything: kubectl -n ns logs job/j --all-containers"},
	} {
		f := &workflow.Failure{Step: "a", Namespace: "ns", Job: "j", End: workflow.End{Pod: "p", Container: workflow.StepContainer, Code: 137, Reason: workflow.ReasonOOMKilled}}
		tt.change(f)
		if got := f.Detail(); !strings.HasSuffix(got, "\n"+tt.want) {
			t.Errorf("%s: %s\ndoes not end with\n%s", name, got, tt.want)
		}
	}
}

// The remedy of an eviction names the attribute that limits what was exceeded.
func TestEvictionRemedies(t *testing.T) {
	for message, want := range map[string]string{
		`Usage of EmptyDir volume "data" exceeds the limit "20Mi"`:                         "Raise data_size_limit of the step, or write less to /data.",
		`Usage of EmptyDir volume "scratch" exceeds the limit "20Mi"`:                      `Raise empty_dir.size_limit of volumes["scratch"], or write less to it.`,
		"Pod ephemeral local storage usage exceeds the total limit of containers 20Mi":     `Raise resources.limits["ephemeral-storage"] of the step, or write less: files in /data, in the container and in its log count.`,
		`Container step exceeded its local ephemeral storage limit "20Mi"`:                 `Raise resources.limits["ephemeral-storage"] of the step, or write less: files in /data, in the container and in its log count.`,
		"The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi": `The node ran out of memory. Set resources.requests["memory"] of the step to what it needs, so that it gets a node that has it; data_size_limit limits the size of /data.`,
		"The node was low on resource: ephemeral-storage. Container step was using 2Gi":    `The node ran out of ephemeral-storage. Set resources.requests["ephemeral-storage"] of the step to what it needs, so that it gets a node that has it; data_size_limit limits the size of /data.`,
		"The node had condition: [DiskPressure]":                                           "See what the node is short of: kubectl describe node n1",
	} {
		f := &workflow.Failure{Step: "a", Job: "j", End: workflow.End{Pod: "p", Node: "n1", Code: 143, Reason: workflow.ReasonEvicted, Cause: message}, Message: "Job has failed"}
		if !strings.HasPrefix(want, "See ") { // there is nothing to change
			want += "\nAfter such a change, only this step and those that need it run."
		}
		if got := f.Detail(); !strings.HasPrefix(got, "Job j in namespace , pod p on node n1: Evicted: "+message+" (exit code 143).") || !strings.HasSuffix(got, "\n"+want) {
			t.Errorf("%s\nis not\n%s", got, want)
		}
	}
}

func TestTheLastBadPodComesFirst(t *testing.T) {
	pod := func(name string, at int, attempt string, code int32) *corev1.Pod {
		p := endedPod(name, at, workflow.StepContainer, code, "Error")
		p.Labels = map[string]string{workflow.AttemptLabel: attempt}
		return p
	}
	for name, tt := range map[string]struct {
		pods   []*corev1.Pod
		stuck  types.UID
		reason string
		want   string
	}{
		"the last of those that failed":                         {[]*corev1.Pod{pod("one", 1, "2", 1), pod("two", 2, "2", 1), pod("good", 3, "2", 0)}, "", "BackoffLimitExceeded", "[two one]"},
		"one that does not get on":                              {[]*corev1.Pod{pod("one", 1, "2", 1), pod("stuck", 2, "2", 0)}, "stuck", "ErrImagePull", "[stuck one]"},
		"one that starts":                                       {[]*corev1.Pod{pod("one", 1, "2", 1), pod("stuck", 2, "2", 0)}, "stuck", "BackoffLimitExceeded", "[one]"},
		"the last where none failed":                            {[]*corev1.Pod{pod("one", 1, "2", 0), pod("two", 2, "2", 0)}, "", "BackoffLimitExceeded", "[two]"},
		"the latest attempt before all older":                   {[]*corev1.Pod{pod("old", 5, "1", 1), pod("new", 2, "2", 0), pod("older", 1, "1", 1), pod("fine", 1, "1", 0)}, "", "BackoffLimitExceeded", "[new old older]"},
		"only an earlier attempt has any":                       {[]*corev1.Pod{pod("old", 5, "1", 1), pod("fine", 6, "1", 0)}, "", "BackoffLimitExceeded", "[old]"},
		"one that failed before those that were stopped for it": {[]*corev1.Pod{pod("failed", 1, "2", 3), pod("stopped", 2, "2", 204), pod("cancelled", 3, "2", 205)}, "", "FailedIndexes", "[failed]"},
		"one that was stopped because its time was over":        {[]*corev1.Pod{pod("failed", 1, "2", 3), pod("stopped", 2, "2", 204)}, "", "DeadlineExceeded", "[stopped failed]"},
		"only one that was stopped":                             {[]*corev1.Pod{pod("stopped", 2, "2", 204), pod("earlier", 1, "1", 204)}, "", "JobDeleted", "[stopped]"},
		"none":                                                  {nil, "", "JobDeleted", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLoop(t, workflow.Step{Name: "a"})
			l.state.steps["a"].attempt = 2
			l.pods["a"] = podsByUID{}
			if tt.stuck != "" {
				l.timers["a"] = podTimer{pod: tt.stuck, reason: "ErrImagePull"}
			}
			for _, pod := range tt.pods {
				l.pods["a"][pod.UID] = pod
			}
			names := []string{}
			for _, pod := range l.rankPods("a", tt.reason) {
				names = append(names, pod.Name)
			}
			if fmt.Sprint(names) != tt.want {
				t.Errorf("got %s, want %s", names, tt.want)
			}
		})
	}
}

// A failure has at most 8 KiB, and contains what to do, and no secret.
func TestAFailureIsBoundedAndScrubbed(t *testing.T) {
	long := strings.Repeat("x", 600)
	g, err := workflow.NewGraph([]workflow.Step{{Name: "count", SecretEnv: map[string]string{"TOKEN": "s3cret", "KEY": "BEGIN\nsecond line\nEND", "YES": "y"}}})
	if err != nil {
		t.Fatal(err)
	}
	f := &workflow.Failure{
		Step: "count", Namespace: "brane", Job: "brane-w-count", End: workflow.End{Pod: "p2", Node: "n1", Container: workflow.StepContainer, Reason: "Error", Code: 1},
		Events: []string{"Failed: s3cret"}, Message: "hunt/er2", More: 2,
	}
	for i := range 20 {
		f.Log = append(f.Log, fmt.Sprint(i, long), "the token is s3cret", "and second line of it", "redis://user:hunt%2Fer2@redis", "yes")
	}
	f.Earlier = []workflow.End{{Pod: "p1", Reason: "OOMKilled", Code: 137, Log: []string{"s3cret"}}}
	f.HideSecrets(workflow.HideSecrets(g, "redis://user:hunt%2Fer2@redis.example.org"))
	text := f.Detail()
	if len(text) > workflow.DetailLimit || !strings.Contains(text, "(shortened)") || !strings.HasSuffix(text, "See everything: kubectl -n brane logs job/brane-w-count --all-containers") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	f.Log = f.Log[:5]
	text = f.Detail() + f.Message
	for _, secret := range []string{"s3cret", "second line", "hunt"} {
		if strings.Contains(text, secret) {
			t.Errorf("it tells %q: %s", secret, text)
		}
	}
	for _, part := range []string{"pod p2 on node n1: the command failed with exit code 1 (Error)", "the token is (secret)", "yes", "Before, pod p1: the command failed with exit code 137 (OOMKilled)", "And 2 more pods failed."} {
		if !strings.Contains(text, part) {
			t.Errorf("it does not tell %q: %s", part, text)
		}
	}
}

// In a fan-out step a stuck index counts until it starts, whatever the others do; for other steps the latest pod counts.
func TestStuckPods(t *testing.T) {
	pod := func(name, waits string) *corev1.Pod {
		p := endedPod(name, 0, "", 0, "")
		p.Labels = map[string]string{workflow.StepLabel: "fan", workflow.AttemptLabel: "1"}
		switch waits {
		case "ContainerCreating":
			p.Status.Phase = corev1.PodPending
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: workflow.StageContainer, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}}}}
		case "Unschedulable":
			p.Status.Phase = corev1.PodPending
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: waits}}
		case "stages":
			p.Status.Phase = corev1.PodPending
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: workflow.StageContainer, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		case "":
		default:
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: workflow.StepContainer, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: waits}}}}
		}
		return p
	}
	for name, tt := range map[string]struct {
		count int
		seen  [][2]string // pods and why they wait, one second after another
		want  string      // pod, reason, since when
	}{
		"the first of the many, until it gets on":  {2, [][2]string{{"a", "ErrImagePull"}, {"b", "ErrImagePull"}, {"b", ""}, {"a", "ImagePullBackOff"}}, "a ErrImagePull 0"},
		"none of the many any more":                {2, [][2]string{{"a", "ErrImagePull"}, {"b", "ErrImagePull"}, {"b", ""}, {"a", ""}}, "none"},
		"one that says why before one that begins": {2, [][2]string{{"a", "ContainerCreating"}, {"b", "ErrImagePull"}, {"c", "ContainerCreating"}}, "b ErrImagePull 1"},
		"one that begins before one without room":  {2, [][2]string{{"a", "Unschedulable"}, {"b", "ContainerCreating"}, {"c", "Unschedulable"}}, "b  1"},
		"the first that begins":                    {2, [][2]string{{"a", "ContainerCreating"}, {"b", "ContainerCreating"}}, "a  0"},
		"a pod that begins for long":               {0, [][2]string{{"a", "ContainerCreating"}, {"a", "ContainerCreating"}}, "a  0"},
		"a pod that has found a node":              {0, [][2]string{{"a", "Unschedulable"}, {"a", "ContainerCreating"}}, "a  1"},
		"a pod whose image is not there":           {0, [][2]string{{"a", "ContainerCreating"}, {"a", "ErrImagePull"}, {"a", "ImagePullBackOff"}}, "a ErrImagePull 1"},
		"a pod whose files are staged in":          {0, [][2]string{{"a", "ContainerCreating"}, {"a", "stages"}}, "none"},
		"another pod":                              {0, [][2]string{{"a", "ErrImagePull"}, {"b", "ContainerCreating"}}, "b  1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTestLoop(t, workflow.Step{Name: "fan", Completions: tt.count})
			l.spec.Timeouts = workflow.PodTimeouts{Startup: time.Minute}
			l.state.steps["fan"].attempt = 1
			l.startPodTimer("fan")
			for second, seen := range tt.seen {
				l.updatePodTimer("fan", pod(seen[0], seen[1]), time.Unix(int64(second), 0))
			}
			got := "none"
			if s, found := l.timers["fan"]; found {
				got = fmt.Sprint(s.pod, " ", s.reason, " ", s.since.Unix())
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if timeouts := (workflow.PodTimeouts{}); timeouts.StartupOrDefault() != workflow.DefaultStartupTimeout || timeouts.SchedulingOrDefault() != workflow.DefaultSchedulingTimeout {
		t.Errorf("%+v", timeouts)
	}
}
