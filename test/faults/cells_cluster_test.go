package faults_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	kuberesource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// Faults of the cluster: webhooks for pods, quotas, and pods that end.

// podWebhook is a webhook for the pods of a run, whose behavior changes during the test.
type podWebhook struct {
	mu     sync.Mutex
	change func(pod *corev1.Pod) error // nil: it changes nothing
	met    int                         // pods that have met the change
}

func (w *podWebhook) disturb(change func(pod *corev1.Pod) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.change, w.met = change, 0
}

func (w *podWebhook) countMet() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.met
}

func (w *podWebhook) review(pod *corev1.Pod) error {
	w.mu.Lock()
	w.met++
	change := w.change
	w.mu.Unlock()
	if change == nil {
		return nil
	}
	return change(pod)
}

// registerWebhook returns when the API server calls the webhook.
func registerWebhook(t *testing.T, l *lab) {
	t.Helper()
	l.webhook = &podWebhook{}
	clustertest.MutatePods(t, l.Namespace, l.webhook.review)
	probe := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "probe"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "probe", Image: "probe:1"}}}}
	testenv.AwaitTrue(t, "the API server to call the webhook", func() bool {
		acctest.NoError(t, l.Client.DryRunApply(t.Context(), probe))
		return l.webhook.countMet() > 0
	})
}

// beforePods are the moments at which the next pod is that of a step or an engine, and no other runs.
var beforePods = []*runMoment{beforeFirstJob, betweenSteps, whileHandingOn}

// changesPods returns a fault in which a webhook changes the pods that are created from then on.
func changesPods(name string, change func(t *testing.T, l *lab) func(pod *corev1.Pod) error) fault {
	return fault{
		name: name, prepare: registerWebhook,
		happens:  func(t *testing.T, l *lab, _ *heldrun.Apply) { l.webhook.disturb(change(t, l)) },
		outcomes: isSurvived(),
	}
}

// addsSidecar returns a fault in which a webhook adds a container to pods that runs until it is stopped.
func addsSidecar(name string, add func(pod *corev1.Pod, sidecar corev1.Container)) fault {
	return changesPods(name, func(t *testing.T, l *lab) func(*corev1.Pod) error {
		sidecar := corev1.Container{
			Name: "mesh", Image: l.Getenv(t, "BRANE_TOOLS_IMAGE"), Command: []string{"sh", "-c", "trap 'exit 17' TERM; while :; do sleep 1; done"},
		}
		return func(pod *corev1.Pod) error {
			add(pod, sidecar)
			return nil
		}
	})
}

// takesPod returns a fault in which the pod of the slow step ends, and with it the command if that runs.
func takesPod(name string, takes func(t *testing.T, l *lab)) fault {
	return fault{
		name:    name,
		happens: func(t *testing.T, l *lab, _ *heldrun.Apply) { takes(t, l) },
		outcomes: map[*runMoment]outcome{
			whileStaging: {status: "succeeded", ran: once},
			whileRunning: {status: "succeeded", ran: "first 1, last 1, slow 2"},
		},
	}
}

// asksForPod returns a fault in which the pod of the slow step is to end while it stores its files, which it finishes.
func asksForPod(name string, asks func(t *testing.T, l *lab)) fault {
	return fault{
		name:     name,
		happens:  func(t *testing.T, l *lab, _ *heldrun.Apply) { asks(t, l) },
		outcomes: isSurvivedAt([]*runMoment{whileStoring}),
	}
}

// sharesQuota returns a fault in which something else in the namespace uses up a quota until it is deleted.
func sharesQuota(name string, resource corev1.ResourceName, occupy func(l *lab) kube.Object, awaitRefusal func(t *testing.T, l *lab)) fault {
	return fault{
		name: name,
		happens: func(t *testing.T, l *lab, _ *heldrun.Apply) {
			t.Helper()
			acctest.NoError(t, l.Client.Create(t.Context(), occupy(l)))
			quota := &corev1.ResourceQuota{
				ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "one"},
				Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{resource: kuberesource.MustParse("1")}},
			}
			acctest.NoError(t, l.Client.Create(t.Context(), quota))
			testenv.AwaitTrue(t, "the quota to be used up", func() bool {
				acctest.NoError(t, l.Client.Get(t.Context(), quota))
				used := quota.Status.Used[resource]
				return used.Value() > 0
			})
		},
		ends: func(t *testing.T, l *lab) {
			t.Helper()
			awaitRefusal(t, l)
			acctest.NoError(t, l.Client.Delete(t.Context(), occupy(l)))
			acctest.NoError(t, l.Client.Delete(t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "one"}}))
		},
		outcomes: isSurvivedAt(beforePods),
	}
}

// unschedulable is a pod that waits for a node, and so uses a quota.
func unschedulable() corev1.PodSpec {
	return corev1.PodSpec{
		NodeSelector: map[string]string{"example.org/no": "node"}, RestartPolicy: corev1.RestartPolicyNever,
		Containers: []corev1.Container{{Name: "other", Image: "other:1"}},
	}
}

// awaitJobRefusal waits until the provider asks again for a Job.
func awaitJobRefusal(t *testing.T, l *lab) {
	t.Helper()
	again := make(chan struct{})
	isAgain := nthJob(l.Namespace, meetings)
	var once sync.Once
	l.api.Disturb(func(_ http.ResponseWriter, r *http.Request) bool {
		if isAgain(r.Method + " " + r.URL.Path) {
			once.Do(func() { close(again) })
		}
		return false
	}, false)
	testenv.Receive(t, "another request for the Job", again)
	l.api.Repair()
}

// awaitPodRefusal waits until a Job has an event because of that.
func awaitPodRefusal(t *testing.T, l *lab) {
	t.Helper()
	testenv.AwaitTrue(t, "the refusal of a pod", func() bool {
		var events corev1.EventList
		acctest.NoError(t, l.Client.List(t.Context(), &events, l.Namespace, ""))
		for _, event := range events.Items {
			if event.Reason == "FailedCreate" && strings.Contains(event.Message, "exceeded quota") {
				return true
			}
		}
		return false
	})
}

var clusterFaults = []fault{
	{
		name: "a webhook for pods answers with 500", prepare: registerWebhook,
		happens: func(_ *testing.T, l *lab, _ *heldrun.Apply) {
			l.webhook.disturb(func(*corev1.Pod) error { return errors.New("the webhook fails") })
		},
		ends: func(t *testing.T, l *lab) {
			testenv.AwaitTrue(t, "pods to meet the webhook", func() bool { return l.webhook.countMet() >= meetings })
			l.webhook.disturb(nil)
		},
		outcomes: isSurvivedAt(beforePods),
	},
	changesPods("a webhook for pods is slow", func(*testing.T, *lab) func(*corev1.Pod) error {
		return func(*corev1.Pod) error {
			time.Sleep(time.Second) // the slowness itself
			return nil
		}
	}),
	changesPods("a webhook changes resources and tolerations of pods", func(*testing.T, *lab) func(*corev1.Pod) error {
		quantities := corev1.ResourceList{corev1.ResourceCPU: kuberesource.MustParse("20m"), corev1.ResourceMemory: kuberesource.MustParse("128Mi")}
		return func(pod *corev1.Pod) error {
			for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
				for i := range containers {
					containers[i].Resources = corev1.ResourceRequirements{Requests: quantities, Limits: quantities}
				}
			}
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: "team", Operator: corev1.TolerationOpExists})
			return nil
		}
	}),
	addsSidecar("a webhook adds a sidecar", func(pod *corev1.Pod, sidecar corev1.Container) {
		pod.Spec.Containers = append([]corev1.Container{sidecar}, pod.Spec.Containers...)
	}),
	addsSidecar("a webhook adds a native sidecar", func(pod *corev1.Pod, sidecar corev1.Container) {
		sidecar.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
		pod.Spec.InitContainers = append([]corev1.Container{sidecar}, pod.Spec.InitContainers...)
	}),

	sharesQuota("another Job uses up the quota of Jobs", "count/jobs.batch", func(l *lab) kube.Object {
		return &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "other"},
			Spec:       batchv1.JobSpec{Suspend: new(true), Template: corev1.PodTemplateSpec{Spec: unschedulable()}},
		}
	}, awaitJobRefusal),
	sharesQuota("another pod uses up the quota of pods", corev1.ResourcePods, func(l *lab) kube.Object {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: l.Namespace, Name: "other"}, Spec: unschedulable()}
	}, awaitPodRefusal),

	takesPod("a pod is deleted", func(t *testing.T, l *lab) { deleteSlowPod(t, l.Run) }),
	takesPod("a pod is evicted", func(t *testing.T, l *lab) { evictSlowPod(t, l.Run) }),
	takesPod("a queue preempts a Job", func(t *testing.T, l *lab) { preemptSlowJob(t, l.Run) }),
	asksForPod("a pod is deleted", func(t *testing.T, l *lab) { acctest.NoError(t, l.Client.Delete(t.Context(), l.FindPod(t, "slow"))) }),
	asksForPod("a pod is evicted", func(t *testing.T, l *lab) { requestEviction(t, l.Run, l.FindPod(t, "slow")) }),
}
