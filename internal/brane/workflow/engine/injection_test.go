package engine

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

const byInit, byVolume = workflow.InjectInitContainer, workflow.InjectImageVolume

func TestAdviceIsAboutTheAgent(t *testing.T) {
	const (
		pull    = "Correct agent_image of the provider, or make sure that the node can pull it: kubectl -n brane describe job/j"
		volumes = "Where the cluster cannot mount image volumes (Kubernetes 1.35, and containerd 2.1 or CRI-O 1.31 on its nodes, can), set agent_injection = \"init_container\": kubectl -n brane describe job/j"
	)
	notFound := `Failed to pull image "example.org/agent:1": not found`
	for name, tt := range map[string]struct {
		injection workflow.AgentInjection
		failure   workflow.Failure
		want      string
	}{
		"the init container's image":                 {byInit, workflow.Failure{End: workflow.End{Container: workflow.StageContainer, Reason: "ErrImagePull"}}, pull},
		"the image of the volume":                    {byVolume, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "ImagePullBackOff"}, Message: notFound}, pull},
		"the step's own image":                       {byVolume, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "ErrImagePull"}, Message: `"example.org/tools:1": not found`}, ""},
		"a runtime that mounts no images":            {byVolume, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "CreateContainerError"}, Message: `failed to mkdir ""`}, volumes},
		"an API server that has dropped the volume":  {byVolume, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "StartError", Code: 128}}, volumes},
		"a container that has other things to blame": {byInit, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "CreateContainerError"}}, ""},
		"a program that fails":                       {byVolume, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "Error", Code: 1}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := tt.failure
			f.Namespace, f.Job = "brane", "j"
			f.Advice = suggestRemedy(&f, "example.org/agent:1", tt.injection)
			if f.Advice != tt.want {
				t.Errorf("got  %s\nwant %s", f.Advice, tt.want)
			}
			if f.Advice != "" && !strings.Contains(f.Detail(), "\n"+f.Advice) {
				t.Errorf("the detail does not say so: %s", f.Detail())
			}
		})
	}
}

// The environment of a container is smaller than a Secret, which is not unlimited either.
func TestCheckCertificates(t *testing.T) {
	for name, tt := range map[string]struct {
		size      int
		injection workflow.AgentInjection
		want      string
	}{
		"a variable":           {100_000, byVolume, ""},
		"more than a variable": {200_000, byVolume, `one has 200000 bytes, and with agent_injection = "image_volume" it is in a variable, which has at most 131071; leave agent_injection out, or list fewer CAs`},
		"a file":               {200_000, workflow.InjectAuto, ""},
		"more than a Secret":   {1 << 20, workflow.InjectInitContainer, "they are in one Secret with the URL: its values have 1056768 bytes together; it can have at most 1048576; list fewer CAs"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := CheckCertificates(files.Certificates{CA: make([]byte, tt.size)}, tt.injection); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// nodesClient returns a client of an API server with one node, which is able to mount images, or that does not allow to list nodes. It counts the requests.
func nodesClient(t *testing.T, isAllowed bool, requests *atomic.Int32) *kube.Client {
	t.Helper()
	return newFakeClient(t, func(w http.ResponseWriter, _ *http.Request) any {
		requests.Add(1)
		if !isAllowed {
			w.WriteHeader(http.StatusForbidden)
			status := apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", errors.New("not in this test")).Status()
			status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
			return status
		}
		node := corev1.Node{Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "linux", KubeletVersion: "v1.35.4", ContainerRuntimeVersion: "containerd://2.3.7"}}}
		return corev1.NodeList{TypeMeta: metav1.TypeMeta{Kind: "NodeList", APIVersion: "v1"}, Items: []corev1.Node{node}}
	})
}

// All runs that have the same client list the nodes once.
func TestNodesAreListedOnce(t *testing.T) {
	t.Parallel()
	for _, isAllowed := range []bool{true, false} {
		var requests atomic.Int32
		client := nodesClient(t, isAllowed, &requests)
		first, again := findUnableNode(t.Context(), client), findUnableNode(t.Context(), client)
		if (first == "") != isAllowed || again != first || requests.Load() != 1 {
			t.Errorf("%d requests, with the answers %q and %q", requests.Load(), first, again)
		}
	}
}

func TestInjectionIsChosen(t *testing.T) {
	t.Parallel()
	allowed, forbidden := nodesClient(t, true, new(atomic.Int32)), nodesClient(t, false, new(atomic.Int32))
	const refusal = "the nodes cannot be listed: nodes is forbidden: not in this test"
	large := files.Certificates{CA: make([]byte, 200_000)}
	for name, tt := range map[string]struct {
		configured workflow.AgentInjection
		clients    Clients
		chosen     workflow.AgentInjection // by the process that has started the engine; empty outside of an engine
		hasOwnUser bool
		want       workflow.AgentInjection
		event      string
	}{
		"what was asked for, with the credential of all runs": {byVolume, Clients{}, "", false, byVolume, ""},
		"what was asked for, on nodes that mount":             {byInit, Clients{Kube: allowed}, "", true, byInit, ""},
		"nodes that mount": {"", Clients{Kube: allowed}, "", true, byVolume, ""},
		"nodes that mount, and the credential of all runs":            {"", Clients{Kube: allowed}, "", false, byInit, "its pods share a Redis user with others"},
		"nodes that mount, and a certificate for no variable":         {"", Clients{Kube: allowed, Certificates: large}, "", true, byInit, "a certificate for Redis is too large for a variable"},
		"nodes that the account may not list":                         {"", Clients{Kube: forbidden}, "", true, byInit, refusal},
		"nodes that another account may list":                         {"", Clients{Kube: forbidden, Nodes: allowed}, "", true, byVolume, ""},
		"nodes that no account may list":                              {"", Clients{Kube: allowed, Nodes: forbidden}, "", true, byInit, refusal},
		"an engine, on nodes that mount":                              {"", Clients{Kube: forbidden}, byVolume, true, byVolume, ""},
		"an engine, on nodes that mount, whose run has lost its user": {"", Clients{Kube: forbidden}, byVolume, false, byInit, "its pods share a Redis user with others"},
		"an engine, on nodes that do not":                             {"", Clients{Kube: allowed}, byInit, true, byInit, "it was decided when the run was handed over"},
		"an engine, by a volume that was asked for":                   {byVolume, Clients{}, byVolume, false, byVolume, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var events []string
			observe := func(event workflow.Event) { events = append(events, event.String()) }
			spec := &workflow.Spec{AgentInjection: tt.configured}
			var got workflow.AgentInjection
			if tt.chosen == "" {
				got = chooseAgentInjection(t.Context(), spec, tt.clients, tt.hasOwnUser, observe)
			} else {
				got = keepAgentInjection(spec, tt.clients.Certificates, tt.hasOwnUser, tt.chosen, observe)
			}
			if got != tt.want {
				t.Errorf("it is %s", got)
			}
			want := ""
			if tt.event != "" {
				want = "run stages: " + tt.event
			}
			if got := strings.Join(events, "\n"); got != want {
				t.Errorf("events %s\nwant %s", got, want)
			}
		})
	}
}
