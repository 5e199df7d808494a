package workflowrun_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kuberesource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/braneframework/terraform-provider-brane/internal/brane/image"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// cluster is a kind of cluster that companies have, and what a run on it has to set.
type cluster struct {
	prepare    func(t *testing.T, s acctest.Env)
	run, step  string   // attributes
	isDetached bool     // the run has an engine
	isLong     bool     // only make test-long has time for it
	want       []string // parts of the error; none if the run succeeds
	check      func(jobs []batchv1.Job, pods []corev1.Pod) error
}

const (
	queueLabel = "kueue.x-k8s.io/queue-name"
	randomUser = int64(1000680000) // of the first namespace of an OpenShift cluster
)

var clusters = map[string]cluster{
	"a queue": {
		prepare: admitJobs, run: `labels = { "` + queueLabel + `" = "team" }`, isDetached: true,
		check: func(_ []batchv1.Job, pods []corev1.Pod) error {
			return checkPods(pods, 2, "the queue has not chosen the node", func(pod corev1.Pod) bool { return pod.Spec.NodeSelector[corev1.LabelOSStable] == "linux" })
		},
	},
	"a queue of another team": {isLong: true, prepare: admitJobs},
	"labels demanded": {
		prepare: demandLabels, run: `labels = { team = "imaging" }`, isDetached: true,
	},
	"labels missing": {
		prepare: demandLabels, run: `startup_timeout = "1s"`,
		want: []string{"every pod names its team", "Labels, annotations, security_context and pod_patch of the step, of defaults or of the run change its pods."},
	},
	"no privileged pods": {isLong: true, prepare: forbidPrivileged},
	"a privileged pod": {
		prepare: forbidPrivileged, run: `startup_timeout = "1s"`,
		step: `pod_patch = "spec: {containers: [{name: step, securityContext: {privileged: true, allowPrivilegeEscalation: true}}]}"`,
		want: []string{"no pod is privileged", "pod_patch of the step"},
	},
	"no image volumes": {isLong: true, prepare: forbidImageVolumes, run: `agent_injection = "init_container"`},
	"an image volume": {
		prepare: forbidImageVolumes, run: `agent_injection = "image_volume"` + "\n" + `startup_timeout = "1s"`,
		want: []string{"no pod mounts an image", `If image volumes are not allowed, set agent_injection = "init_container".`},
	},
	"Pod Security restricted": {
		prepare: restrictPods, run: `agent_injection = "init_container"` + "\n" + `defaults = { security_context = { run_as_user = 1000 } }`, isDetached: true,
	},
	"a ratio of limits": {
		isLong:  true,
		prepare: limitRatio, run: `agent_injection = "init_container"`, step: `resources = { requests = { memory = "64Mi" }, limits = { memory = "96Mi" } }`, isDetached: true,
	},
	"a quota": {
		prepare: limitQuota, run: `agent_injection = "init_container"`, isDetached: true,
		step: `resources = { requests = { ephemeral-storage = "8Mi" }, limits = { ephemeral-storage = "64Mi", memory = "128Mi" } }`,
		check: func(_ []batchv1.Job, pods []corev1.Pod) error {
			return checkPods(pods, 2, "its disk is not limited", func(pod corev1.Pod) bool { return !pod.Spec.Containers[0].Resources.Limits.StorageEphemeral().IsZero() })
		},
	},
	"a quota, and no limits": {
		isLong:  true,
		prepare: limitQuota, run: `startup_timeout = "1s"`, want: []string{"must specify limits.memory", "Set them in resources of the step"},
	},
	"Autopilot": {prepare: rewritePods, run: `agent_injection = "init_container"`, isDetached: true, check: func(_ []batchv1.Job, pods []corev1.Pod) error {
		return checkPods(pods, 2, "the webhook has not changed the image", func(pod corev1.Pod) bool { return strings.Contains(pod.Spec.Containers[0].Image, "@sha256:") })
	}},
	"random users": {
		prepare: assignUsers, run: `agent_injection = "init_container"`, isDetached: true, check: haveRandomUsers,
	},
	"random users and image volumes": {
		isLong:  true,
		prepare: assignUsers, run: `agent_injection = "image_volume"`, check: func(_ []batchv1.Job, pods []corev1.Pod) error {
			return checkPods(pods, 1, "its user is not random", hasRandomUser)
		},
	},
	"a random user by patches": {
		isLong: true,
		run: fmt.Sprintf("agent_injection = \"init_container\"\npod_patch = %[1]q\nengine = { pod_patch = %[1]q }",
			fmt.Sprintf("spec: {securityContext: {runAsUser: %d, runAsGroup: 0, runAsNonRoot: true}}", randomUser)),
		isDetached: true, check: haveRandomUsers,
	},
	"tainted nodes": {
		prepare: demandToleration, run: `defaults = { tolerations = [{ key = "dedicated", operator = "Exists" }] }`, isDetached: true,
	},
	"tainted nodes, not tolerated": {
		isLong:  true,
		prepare: demandToleration, run: `scheduling_timeout = "1s"`,
		want: []string{"Unschedulable: 0/", "had untolerated taint", "No node fits the pod: set tolerations", "(of the step or of defaults)"},
	},
}

// A run works on clusters with queues, policies, quotas and webhooks, or its error has the words of Kubernetes and what to set.
func TestAccWorkflowRun_clusters(t *testing.T) {
	t.Parallel()
	testClusters(t, false)
}

func testClusters(t *testing.T, isLong bool) {
	t.Helper()
	for name, c := range clusters {
		if c.isLong != isLong {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(c.run, "image_volume") {
				clustertest.RequireImageVolumes(t)
			}
			s := acctest.NewEnv(t)
			s.RegisterInfrastructure(t)
			if c.prepare != nil {
				c.prepare(t, s)
			}
			body := c.run + `
  steps   = { hello = { image = "$TOOLS", command = ["sh", "-ec", "cat /data/in >/data/out; echo ' world' >>/data/in; rm /data/in"]` + "\n" + c.step + ` } }
  inputs  = { in = { content = "hello" } }
  outputs = { out = { path = "out" } }`
			if len(c.want) > 0 {
				acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, "run", body)}, c.want)
				return
			}
			var steps []resource.TestStep
			if c.isDetached {
				steps = append(steps, resource.TestStep{Config: s.RunConfig(t, "run", "wait = false\n"+body)})
			}
			steps = append(steps, resource.TestStep{
				Config:            s.RunConfig(t, "run", body),
				ConfigStateChecks: []statecheck.StateCheck{acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"out": acctest.ExpectOutput("out", "hello")}))},
				Check:             func(*terraform.State) error { return c.checkObjects(t, s) },
			})
			resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.ProviderFactories, Steps: steps})
		})
	}
}

// checkObjects checks the Jobs and pods of the run.
func (c cluster) checkObjects(t *testing.T, s acctest.Env) error {
	t.Helper()
	var jobs batchv1.JobList
	var pods corev1.PodList
	if err := errors.Join(s.Client.List(t.Context(), &jobs, s.Namespace, workflow.RunLabel), s.Client.List(t.Context(), &pods, s.Namespace, workflow.RunLabel)); err != nil || c.check == nil {
		return err
	}
	return c.check(jobs.Items, pods.Items)
}

// checkPods checks that there are so many pods, and something about each.
func checkPods(pods []corev1.Pod, count int, problem string, isRight func(corev1.Pod) bool) error {
	if len(pods) != count {
		return fmt.Errorf("there are %d pods, not %d", len(pods), count)
	}
	for _, pod := range pods {
		if !isRight(pod) {
			return fmt.Errorf("pod %s: %s: %+v", pod.Name, problem, pod.Spec)
		}
	}
	return nil
}

func hasRandomUser(pod corev1.Pod) bool {
	return pod.Spec.SecurityContext.RunAsUser != nil && *pod.Spec.SecurityContext.RunAsUser == randomUser
}

// haveRandomUsers checks the pods of a step and of an engine.
func haveRandomUsers(_ []batchv1.Job, pods []corev1.Pod) error {
	return checkPods(pods, 2, "its user is not random", hasRandomUser)
}

// admitJobs does what Kueue does with Jobs that have the label of a queue: its webhook suspends them, and its controller starts them on nodes that it has chosen.
func admitJobs(t *testing.T, s acctest.Env) {
	t.Helper()
	clustertest.MutateJobs(t, s.Namespace, func(job *batchv1.Job) error {
		if job.Labels[queueLabel] != "" {
			job.Spec.Suspend = new(true)
		}
		return nil
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(ctx context.Context) (bool, error) { // until the test ends
			var jobs batchv1.JobList
			if s.Client.List(ctx, &jobs, s.Namespace, queueLabel) != nil {
				return false, nil //nolint:nilerr // it is listed again
			}
			for _, job := range jobs.Items {
				if job.Spec.Suspend != nil && *job.Spec.Suspend {
					job.Spec.Suspend = new(false)
					job.Spec.Template.Spec.NodeSelector = map[string]string{corev1.LabelOSStable: "linux"}
					if err := s.Client.Update(ctx, &job); err != nil && !apierrors.IsConflict(err) && ctx.Err() == nil {
						t.Errorf("start Job %s: %v", job.Name, err)
					}
				}
			}
			return false, nil
		})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

// demand enforces a policy for pods or Jobs in the namespace of a test. spec is one of a pod that it refuses.
func demand(t *testing.T, s acctest.Env, requires, message string, spec corev1.PodSpec) {
	t.Helper()
	spec.Containers = append(spec.Containers, corev1.Container{Name: "probe", Image: "probe:1"})
	policy := clustertest.Policy{
		Name: s.Namespace, Resource: "pods", Applies: "request.namespace == '" + s.Namespace + "'", Requires: requires, Message: message,
	}
	policy.Enforce(t, s.Client, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "probe"}, Spec: spec})
}

func demandLabels(t *testing.T, s acctest.Env) {
	t.Helper()
	demand(t, s, "'team' in object.metadata.?labels.orValue({})", "every pod names its team", corev1.PodSpec{})
}

func forbidPrivileged(t *testing.T, s acctest.Env) {
	t.Helper()
	const requires = "object.spec.containers.all(c, !c.?securityContext.?privileged.orValue(false))"
	privileged := corev1.Container{Name: "privileged", Image: "probe:1", SecurityContext: &corev1.SecurityContext{Privileged: new(true)}}
	demand(t, s, requires, "no pod is privileged", corev1.PodSpec{Containers: []corev1.Container{privileged}})
}

func forbidImageVolumes(t *testing.T, s acctest.Env) {
	t.Helper()
	const requires = "object.spec.?volumes.orValue([]).all(v, !has(v.image))"
	volume := corev1.Volume{Name: "image", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "probe:1"}}}
	demand(t, s, requires, "no pod mounts an image", corev1.PodSpec{Volumes: []corev1.Volume{volume}})
}

// restrictPods lets the namespace enforce the strictest level of Pod Security.
func restrictPods(t *testing.T, s acctest.Env) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
	acctest.NoError(t, s.Client.MergePatch(t.Context(), namespace, []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`)))
}

// limitRatio lets the limits of a container be at most twice its requests.
func limitRatio(t *testing.T, s acctest.Env) {
	t.Helper()
	ratio := corev1.ResourceList{corev1.ResourceMemory: kuberesource.MustParse("2"), corev1.ResourceCPU: kuberesource.MustParse("2")}
	defaults := corev1.ResourceList{corev1.ResourceCPU: kuberesource.MustParse("50m"), corev1.ResourceMemory: kuberesource.MustParse("64Mi")}
	acctest.NoError(t, s.Client.Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "ratio"},
		Spec:       corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, MaxLimitRequestRatio: ratio, Default: defaults, DefaultRequest: defaults}}},
	}))
}

// limitQuota sets a quota of memory and disk. Kubernetes demands that every container sets a limit of memory then, but none of disk.
func limitQuota(t *testing.T, s acctest.Env) {
	t.Helper()
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "limits"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		corev1.ResourceLimitsEphemeralStorage: kuberesource.MustParse("1Gi"), corev1.ResourceLimitsMemory: kuberesource.MustParse("1Gi"),
	}}}
	acctest.NoError(t, s.Client.Create(t.Context(), quota))
	testenv.Await(t, "the quota", func(ctx context.Context) (bool, error) {
		err := s.Client.Get(ctx, quota)
		return len(quota.Status.Hard) > 0, err // until then every pod is refused
	})
}

// rewritePods changes pods as managed clusters and registry mirrors do: their images, resources, tolerations and node selectors.
func rewritePods(t *testing.T, s acctest.Env) {
	t.Helper()
	pinned := map[string]string{}
	for _, variable := range []string{"BRANE_TOOLS_IMAGE", "BRANE_AGENT_IMAGE"} {
		found, err := image.Lookup(t.Context(), s.Getenv(t, variable))
		acctest.NoError(t, err)
		pinned[s.Getenv(t, variable)] = found.Pinned
	}
	clustertest.MutatePods(t, s.Namespace, func(pod *corev1.Pod) error {
		quantities := corev1.ResourceList{corev1.ResourceCPU: kuberesource.MustParse("20m"), corev1.ResourceMemory: kuberesource.MustParse("128Mi"), corev1.ResourceEphemeralStorage: kuberesource.MustParse("64Mi")}
		for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range containers {
				containers[i].Image = pinned[containers[i].Image]
				containers[i].Resources = corev1.ResourceRequirements{Requests: quantities, Limits: quantities}
			}
		}
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{Key: "kubernetes.io/arch", Operator: corev1.TolerationOpEqual, Value: "amd64", Effect: corev1.TaintEffectNoSchedule})
		pod.Spec.NodeSelector = map[string]string{corev1.LabelOSStable: "linux"}
		return nil
	})
}

// assignUsers assigns a user of the namespace, and the group 0, to each pod and container that has none, as OpenShift's restricted SCC does. It refuses other users.
func assignUsers(t *testing.T, s acctest.Env) {
	t.Helper()
	clustertest.MutatePods(t, s.Namespace, func(pod *corev1.Pod) error {
		if pod.Spec.SecurityContext.RunAsUser != nil {
			return fmt.Errorf("user %d is not one of the namespace", *pod.Spec.SecurityContext.RunAsUser)
		}
		pod.Spec.SecurityContext.RunAsUser, pod.Spec.SecurityContext.RunAsNonRoot = new(randomUser), new(true)
		pod.Spec.SecurityContext.FSGroup = new(randomUser)
		for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range containers {
				containers[i].SecurityContext.RunAsUser, containers[i].SecurityContext.ReadOnlyRootFilesystem = new(randomUser), new(true)
			}
		}
		return nil
	})
}

// demandToleration keeps pods without a toleration from all nodes, as a taint on each of them would. The node of the tests has other pods, so it is not tainted:
// such pods select a node with a taint, which has no kubelet.
func demandToleration(t *testing.T, s acctest.Env) {
	t.Helper()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: s.Namespace, Labels: map[string]string{corev1.LabelHostname: s.Namespace}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "dedicated", Effect: corev1.TaintEffectNoSchedule}}},
	}
	acctest.NoError(t, s.Client.Create(t.Context(), node))
	t.Cleanup(func() { acctest.NoError(t, s.Client.Delete(context.WithoutCancel(t.Context()), node)) })
	clustertest.MutatePods(t, s.Namespace, func(pod *corev1.Pod) error {
		if !slices.ContainsFunc(pod.Spec.Tolerations, func(toleration corev1.Toleration) bool { return toleration.Key == "dedicated" }) {
			pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: s.Namespace}
		}
		return nil
	})
}
