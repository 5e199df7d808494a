package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// simulated is the name of the simulated nodes' scheduler, label and taint: the real scheduler ignores their pods, and theirs run nowhere else.
const simulated = "brane-bench"

const (
	simulatedWorkers  = 64               // kubelets that work at the same time
	heartbeatInterval = 20 * time.Second // shorter than the 40 s after which Kubernetes marks a node as unknown
	heartbeatNodes    = 200              // more nodes have no heartbeats: the runs on them are shorter
)

// simulatedNodes are Node objects without machines. Their pods are bound, marked Running and then Succeeded, as kubelets do.
type simulatedNodes struct {
	kube  *kube.Client
	core  rest.Interface // for the subresources of pods and nodes
	names []string
	stop  func()
}

// newCoreClient returns a client without a rate limit for what the provider's client does not have.
func newCoreClient(config *rest.Config) (rest.Interface, error) {
	known := runtime.NewScheme()
	if err := corev1.AddToScheme(known); err != nil {
		return nil, err
	}
	metav1.AddToGroupVersion(known, corev1.SchemeGroupVersion)
	c := rest.CopyConfig(config)
	c.APIPath, c.GroupVersion, c.QPS = "/api", &corev1.SchemeGroupVersion, -1
	c.NegotiatedSerializer = serializer.NewCodecFactory(known).WithoutConversion()
	c.ContentType = runtime.ContentTypeProtobuf
	return rest.RESTClientFor(c)
}

// createNodes creates the nodes.
func createNodes(ctx context.Context, config *rest.Config, client *kube.Client, count int) (*simulatedNodes, error) {
	core, err := newCoreClient(config)
	if err != nil {
		return nil, err
	}
	n := &simulatedNodes{kube: client, core: core}
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(simulatedWorkers)
	for i := range count {
		node := newSimulatedNode(i)
		n.names = append(n.names, node.Name)
		group.Go(func() error { return core.Post().Resource("nodes").Body(node).Do(each).Error() })
	}
	err = group.Wait()
	beating, cancel := context.WithCancel(ctx)
	var beats sync.WaitGroup
	if count <= heartbeatNodes {
		beats.Go(func() { n.sendHeartbeats(beating) })
	}
	n.stop = func() { cancel(); beats.Wait() }
	return n, err
}

// newSimulatedNode returns a node that is as large as a real one: most of that are the names of its images.
func newSimulatedNode(i int) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1000"), corev1.ResourceMemory: resource.MustParse("1Ti"), corev1.ResourcePods: resource.MustParse("10000"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%04d", simulated, i), Labels: map[string]string{simulated: "true", corev1.LabelOSStable: "linux"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: simulated, Effect: corev1.TaintEffectNoSchedule}}},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity, Conditions: []corev1.NodeCondition{newHeartbeat()},
			NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64", KubeletVersion: "v1.35.4", ContainerRuntimeVersion: "containerd://2.3.0"},
		},
	}
	for image := range 50 { // the kubelet reports as many
		name := fmt.Sprintf("registry.example.org/project/image-%02d", image)
		node.Status.Images = append(node.Status.Images, corev1.ContainerImage{Names: []string{name + "@sha256:" + strings.Repeat("0", 64), name + ":1"}, SizeBytes: 1 << 20})
	}
	return node
}

func newHeartbeat() corev1.NodeCondition {
	now := metav1.Now()
	return corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now}
}

// sendHeartbeats keeps the nodes ready until ctx ends.
func (n *simulatedNodes) sendHeartbeats(ctx context.Context) {
	for tick := time.NewTicker(heartbeatInterval); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		for _, name := range n.names {
			// One that is missing is followed by another.
			_ = n.patchStatus(ctx, n.core.Patch(types.StrategicMergePatchType).Resource("nodes").Name(name), corev1.NodeStatus{Conditions: []corev1.NodeCondition{newHeartbeat()}})
		}
	}
}

func (n *simulatedNodes) patchStatus(ctx context.Context, request *rest.Request, status any) error {
	body, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	return request.SubResource("status").Body(body).Do(ctx).Error()
}

// delete deletes the nodes in one request.
func (n *simulatedNodes) delete(ctx context.Context) error {
	n.stop()
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute) // also after Ctrl-C
	defer done()
	return n.core.Delete().Resource("nodes").Param("labelSelector", simulated+"=true").Do(ctx).Error()
}

// deletePods deletes the pods of a namespace in one request, and waits for it: what is still being deleted would disturb the next measurement.
func (n *simulatedNodes) deletePods(ctx context.Context, namespace string) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute) // also after Ctrl-C
	defer done()
	var jobs batchv1.JobList
	if err := n.kube.List(ctx, &jobs, namespace, ""); err != nil {
		return err
	}
	for i := range jobs.Items {
		if err := n.kube.Delete(ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: jobs.Items[i].Name}}); err != nil {
			return err
		}
	}
	return n.core.Delete().Namespace(namespace).Resource("pods").Do(ctx).Error()
}

// placement returns what lets the pods of a step run on the simulated nodes only.
func placement() workflow.Placement {
	return workflow.Placement{
		SchedulerName: simulated, NodeSelector: map[string]string{simulated: "true"},
		Tolerations: []corev1.Toleration{{Key: simulated, Operator: corev1.TolerationOpExists}},
	}
}

// runPods runs the pods of a namespace until stop is called, which returns the first error. work is what happens in the container of a pod.
func (n *simulatedNodes) runPods(ctx context.Context, namespace string, work func(context.Context, *corev1.Pod) error) (stop func() error) {
	ctx, cancel := context.WithCancelCause(ctx)
	pods := make(chan *corev1.Pod, 1<<16) // more than a run has, because the watch must not block
	var all sync.WaitGroup
	all.Go(func() {
		seen := map[types.UID]bool{}
		err := kube.Follow(ctx, n.kube, &corev1.PodList{}, namespace, "", kube.Follower[*corev1.Pod]{
			Changed: func(pod *corev1.Pod) {
				if !seen[pod.UID] && pod.Spec.SchedulerName == simulated {
					seen[pod.UID] = true
					pods <- pod
				}
			},
			Deleted: func(*corev1.Pod) {}, Failed: func(error) {}, // a broken watch is opened again
		})
		close(pods)
		if err != nil {
			cancel(err)
		}
	})
	for worker := range simulatedWorkers {
		all.Go(func() {
			for i := worker; ; i += simulatedWorkers {
				pod, open := <-pods
				if !open {
					return
				}
				if err := n.runPod(ctx, pod, n.names[i%len(n.names)], work); err != nil && ctx.Err() == nil {
					cancel(fmt.Errorf("run pod %s: %w", pod.Name, err))
				}
			}
		})
	}
	return func() error {
		cancel(nil)
		all.Wait()
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}
}

// runPod binds a pod to a node, runs it and marks it as succeeded.
func (n *simulatedNodes) runPod(ctx context.Context, pod *corev1.Pod, node string, work func(context.Context, *corev1.Pod) error) error {
	binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	err := n.core.Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("binding").Body(binding).Do(ctx).Error()
	if err == nil {
		err = n.setPodStatus(ctx, pod, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}})
	}
	if err == nil {
		err = work(ctx, pod)
	}
	if err == nil {
		ended := &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: metav1.Now(), FinishedAt: metav1.Now(), ContainerID: "containerd://" + strings.Repeat("0", 64)}
		err = n.setPodStatus(ctx, pod, corev1.PodSucceeded, corev1.ContainerState{Terminated: ended})
	}
	if apierrors.IsNotFound(err) {
		return nil // the run has ended, and its Jobs were deleted
	}
	return err
}

func (n *simulatedNodes) setPodStatus(ctx context.Context, pod *corev1.Pod, phase corev1.PodPhase, state corev1.ContainerState) error {
	status := corev1.PodStatus{Phase: phase, HostIP: "192.0.2.1", PodIP: "192.0.2.2", StartTime: &metav1.Time{Time: time.Now()}}
	for _, kind := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()})
	}
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, State: state, Image: container.Image, ImageID: container.Image + "@sha256:" + strings.Repeat("0", 64), ContainerID: "containerd://" + strings.Repeat("0", 64),
		})
	}
	return n.patchStatus(ctx, n.core.Patch(types.StrategicMergePatchType).Namespace(pod.Namespace).Resource("pods").Name(pod.Name), status)
}

// storedBytes returns the size of the objects of a namespace as etcd stores them: in protobuf, without the revisions that etcd keeps for some
// minutes.
func (n *simulatedNodes) storedBytes(ctx context.Context, namespace string) (total int64, err error) {
	for _, path := range []string{"/api/v1", "/apis/batch/v1"} {
		for _, kind := range map[string][]string{"/api/v1": {"pods", "configmaps", "secrets"}, "/apis/batch/v1": {"jobs"}}[path] {
			for next := ""; ; {
				request := n.core.Get().AbsPath(path, "namespaces", namespace, kind).Param("limit", "500").Param("continue", next)
				page, err := request.SetHeader("Accept", runtime.ContentTypeProtobuf).DoRaw(ctx)
				if err != nil {
					return 0, err
				}
				total += int64(len(page))
				if next, err = continueOf(page); err != nil {
					return 0, err
				}
				if next == "" {
					break
				}
			}
		}
	}
	return total, nil
}

// continueOf returns the token for the next page of a list in protobuf.
func continueOf(page []byte) (string, error) {
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(page[4:]); err != nil { // the first four bytes mark the encoding
		return "", err
	}
	var list metav1.PartialObjectMetadataList // the metadata is the first field of all lists
	if err := list.Unmarshal(envelope.Raw); err != nil {
		return "", err
	}
	return list.Continue, nil
}

// tools is the image of the containers, which simulated nodes do not pull.
func tools() string { return os.Getenv("BRANE_TOOLS_IMAGE") }
