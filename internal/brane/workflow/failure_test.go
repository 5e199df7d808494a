package workflow

import (
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// endedPod is a pod one of whose containers has ended with a code; 0 is none that has.
func endedPod(name string, at int, container string, code int32, reason string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), CreationTimestamp: metav1.Unix(int64(at), 0)}, Spec: corev1.PodSpec{NodeName: "n1"}}
	if code != 0 {
		pod.Status.Phase = corev1.PodFailed
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: container, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}}}
	}
	return pod
}

func TestHowAPodEnded(t *testing.T) {
	evicted := endedPod("p", 0, stepContainer, 0, "")
	evicted.Status.Phase, evicted.Status.Reason = corev1.PodFailed, "Evicted"
	waits := endedPod("p", 0, stepContainer, 0, "")
	waits.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: stepContainer, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}}
	part := endedPod("p", 0, stepContainer, 3, "Error")
	part.Labels = map[string]string{batchv1.JobCompletionIndexAnnotation: "7"}
	deleted := endedPod("p", 0, stepContainer, 143, "Error")
	deleted.DeletionTimestamp = new(metav1.Now())
	for name, tt := range map[string]struct {
		pod    *corev1.Pod
		reason string
		want   string
	}{
		"by the program's own code": {endedPod("p", 0, stepContainer, 3, "Error"), "BackoffLimitExceeded", "pod p on node n1: the program ended with exit code 3 (Error)"},
		"out of memory":             {endedPod("p", 0, stepContainer, 137, "OOMKilled"), "BackoffLimitExceeded", "pod p on node n1: the program ended with exit code 137 (OOMKilled)"},
		"staging in":                {endedPod("p", 0, stageContainer, 1, "Error"), "BackoffLimitExceeded", "pod p on node n1: its files could not be staged in (exit code 1)"},
		"staging in, by the agent":  {endedPod("p", 0, stepContainer, 201, "Error"), "BackoffLimitExceeded", "pod p on node n1: its files could not be staged in (exit code 201)"},
		"staging out":               {endedPod("p", 0, stepContainer, 202, "Error"), "BackoffLimitExceeded", "pod p on node n1: its files could not be stored (exit code 202)"},
		"stopped by its time":       {endedPod("p", 0, stepContainer, 143, "Error"), "DeadlineExceeded", "pod p on node n1: DeadlineExceeded"},
		"deleted":                   {deleted, "PodFailurePolicy", "pod p on node n1: the program ended with exit code 143 (Error) when the pod was deleted"},
		"evicted":                   {evicted, "BackoffLimitExceeded", "pod p on node n1: Evicted"},
		"no image":                  {waits, "ImagePullBackOff", "pod p on node n1: ImagePullBackOff"},
		"one of many":               {part, "FailedIndexes", "pod p (index 7) on node n1: the program ended with exit code 3 (Error)"},
	} {
		t.Run(name, func(t *testing.T) {
			end := endOf(tt.pod, tt.reason)
			if got := end.where() + ": " + end.what(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestTheLastBadPodComesFirst(t *testing.T) {
	pod := func(name string, at int, attempt string, code int32) *corev1.Pod {
		p := endedPod(name, at, stepContainer, code, "Error")
		p.Labels = map[string]string{AttemptLabel: attempt}
		return p
	}
	for name, tt := range map[string]struct {
		pods  []*corev1.Pod
		stuck types.UID
		want  string
	}{
		"the last of those that failed":       {[]*corev1.Pod{pod("one", 1, "2", 1), pod("two", 2, "2", 1), pod("good", 3, "2", 0)}, "", "[two one]"},
		"one that does not get on":            {[]*corev1.Pod{pod("one", 1, "2", 1), pod("stuck", 2, "2", 0)}, "stuck", "[stuck one]"},
		"the last where none failed":          {[]*corev1.Pod{pod("one", 1, "2", 0), pod("two", 2, "2", 0)}, "", "[two]"},
		"the latest attempt before all older": {[]*corev1.Pod{pod("old", 5, "1", 1), pod("new", 2, "2", 0), pod("older", 1, "1", 1), pod("fine", 1, "1", 0)}, "", "[new old older]"},
		"only an earlier attempt has any":     {[]*corev1.Pod{pod("old", 5, "1", 1), pod("fine", 6, "1", 0)}, "", "[old]"},
		"none":                                {nil, "", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			l := &loop{pods: map[string]map[types.UID]*corev1.Pod{"a": {}}, stuck: map[string]stuck{}}
			l.attempts = map[string]int{"a": 2}
			if tt.stuck != "" {
				l.stuck["a"] = stuck{pod: tt.stuck}
			}
			for _, pod := range tt.pods {
				l.pods["a"][pod.UID] = pod
			}
			names := []string{}
			for _, pod := range l.badPods("a") {
				names = append(names, pod.Name)
			}
			if fmt.Sprint(names) != tt.want {
				t.Errorf("got %s, want %s", names, tt.want)
			}
		})
	}
}

// However much there is to tell, it is at most 8 KiB, holds what to do, and no secret.
func TestAFailureIsBoundedAndScrubbed(t *testing.T) {
	long := strings.Repeat("x", 600)
	g, err := NewGraph([]Step{{Name: "count", SecretEnv: map[string]string{"TOKEN": "s3cret", "KEY": "BEGIN\nsecond line\nEND", "YES": "y"}}})
	if err != nil {
		t.Fatal(err)
	}
	l := &loop{Run: &Run{Graph: g, RedisURL: "redis://user:hunt%2Fer2@redis.example.org"}}
	f := &Failure{
		Step: "count", Namespace: "brane", Job: "brane-w-count", End: End{Pod: "p2", Node: "n1", Container: stepContainer, Reason: "Error", Code: 1},
		Events: []string{"Failed: s3cret"}, Message: "hunt/er2", More: 2,
	}
	for i := range 20 {
		f.Log = append(f.Log, fmt.Sprint(i, long), "the token is s3cret", "and second line of it", "redis://user:hunt%2Fer2@redis", "yes")
	}
	f.Earlier = []End{{Pod: "p1", Reason: "OOMKilled", Code: 137, Log: []string{"s3cret"}}}
	f.hide(l.Hide())
	text := f.Detail()
	if len(text) > detailBytes || !strings.Contains(text, "(shortened)") || !strings.HasSuffix(text, "See everything: kubectl -n brane logs job/brane-w-count --all-containers") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	f.Log = f.Log[:5]
	text = f.Detail() + f.Message
	for _, secret := range []string{"s3cret", "second line", "hunt"} {
		if strings.Contains(text, secret) {
			t.Errorf("it tells %q: %s", secret, text)
		}
	}
	for _, part := range []string{"pod p2 on node n1: the program ended with exit code 1 (Error)", "the token is (secret)", "yes", "Before, pod p1: the program ended with exit code 137 (OOMKilled)", "And 2 more pods ended badly."} {
		if !strings.Contains(text, part) {
			t.Errorf("it does not tell %q: %s", part, text)
		}
	}
}

// One of the many that does not get on counts until it does, whatever the others do.
func TestStuckPods(t *testing.T) {
	pod := func(name, waits string) *corev1.Pod {
		p := endedPod(name, 0, "", 0, "")
		p.Labels = map[string]string{StepLabel: "fan"}
		if waits != "" {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: stepContainer, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: waits}}}}
		}
		return p
	}
	at := func(seconds int64) time.Time { return time.Unix(seconds, 0) }
	l := &loop{Run: &Run{Graph: Graph{steps: map[string]Step{"fan": {Name: "fan", Count: 2}}}, Grace: Grace{Image: time.Minute}}, stuck: map[string]stuck{}}
	l.noteStuck("fan", pod("a", "ErrImagePull"), at(0))
	l.noteStuck("fan", pod("b", "ErrImagePull"), at(10))
	l.noteStuck("fan", pod("b", ""), at(20))
	l.noteStuck("fan", pod("a", "ImagePullBackOff"), at(30))
	if s := l.stuck["fan"]; s.pod != "a" || !s.since.Equal(at(0)) || s.reason != "ErrImagePull" || s.grace != time.Minute {
		t.Errorf("%+v", s)
	}
	l.noteGone(pod("a", ""))
	if len(l.stuck) > 0 {
		t.Errorf("%+v", l.stuck)
	}
	if g := (Grace{}); g.image() != imageGrace || g.scheduling() != scheduleGrace {
		t.Errorf("%+v", g)
	}
}
