package engine

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

func TestAdviceIsAboutTheAgent(t *testing.T) {
	const (
		pull    = "Correct agent_image of the provider, or make sure that the node can pull it"
		volumes = "Where the cluster cannot mount image volumes (Kubernetes 1.35, and containerd 2.1 or CRI-O 1.31 on its nodes, can), set agent_injection = \"init_container\""
	)
	notFound := `Failed to pull image "example.org/agent:1": not found`
	for name, tt := range map[string]struct {
		byVolume bool
		failure  workflow.Failure
		want     string
	}{
		"the init container's image":                 {false, workflow.Failure{End: workflow.End{Container: workflow.StageContainer, Reason: "ErrImagePull"}}, pull},
		"the image of the volume":                    {true, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "ImagePullBackOff"}, Message: notFound}, pull},
		"the step's own image":                       {true, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "ErrImagePull"}, Message: `"example.org/tools:1": not found`}, ""},
		"a runtime that mounts no images":            {true, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "CreateContainerError"}, Message: `failed to mkdir ""`}, volumes},
		"an API server that has dropped the volume":  {true, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "StartError", Code: 128}}, volumes},
		"a container that has other things to blame": {false, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "CreateContainerError"}}, ""},
		"a program that fails":                       {true, workflow.Failure{End: workflow.End{Container: workflow.StepContainer, Reason: "Error", Code: 1}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			run := &Run{AgentImage: "example.org/agent:1", byVolume: tt.byVolume}
			f := tt.failure
			f.Advice = run.advice(&f)
			if f.Advice != tt.want {
				t.Errorf("got  %s\nwant %s", f.Advice, tt.want)
			}
			if f.Advice != "" && !strings.Contains(f.Detail(), "\n"+f.Advice+": kubectl -n ") {
				t.Errorf("the detail does not say so: %s", f.Detail())
			}
		})
	}
}

// The environment of a container is smaller than a Secret.
func TestCertificatesThatAreNoVariable(t *testing.T) {
	run := &Run{AgentInjection: workflow.InjectImageVolume, RedisCerts: files.Certificates{CA: make([]byte, 200_000)}}
	err := run.handOver(t.Context(), nil, metav1.OwnerReference{})
	if want := "pass the certificates for Redis in variables: one has 200000 bytes, a variable holds at most 131071; leave agent_injection out, or list fewer CAs"; fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestDeliveryIsDecided(t *testing.T) {
	t.Parallel()
	lab := newLab(t)
	restricted := as(t, lab.account("restricted"), func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		return next.RoundTrip(request)
	})
	refusal := fmt.Sprintf(`the nodes cannot be listed: nodes is forbidden: User "system:serviceaccount:%s:restricted" cannot list resource "nodes" in API group "" at the cluster scope`, lab.namespace)
	large := files.Certificates{CA: make([]byte, 200_000)}
	for name, tt := range map[string]struct {
		run      Run
		ownUser  bool
		byVolume bool
		told     string
	}{
		"what was asked for, with the credential of all runs": {Run{AgentInjection: workflow.InjectImageVolume}, false, true, ""},
		"what was asked for, on nodes that mount":             {Run{AgentInjection: workflow.InjectInitContainer, Kube: lab.admin}, true, false, ""},
		"nodes that mount": {Run{Kube: lab.admin}, true, true, ""},
		"nodes that mount, and the credential of all runs":            {Run{Kube: lab.admin}, false, false, "its pods share a Redis user with others"},
		"nodes that mount, and a certificate for no variable":         {Run{Kube: lab.admin, RedisCerts: large}, true, false, "a certificate for Redis is too large for a variable"},
		"nodes that the account may not list":                         {Run{Kube: restricted}, true, false, refusal},
		"nodes that another account may list":                         {Run{Kube: restricted, Nodes: lab.admin}, true, true, ""},
		"an engine, on nodes that mount":                              {Run{Kube: restricted, handedOver: new(true)}, true, true, ""},
		"an engine, on nodes that mount, whose run has lost its user": {Run{Kube: restricted, handedOver: new(true)}, false, false, "its pods share a Redis user with others"},
		"an engine, on nodes that do not":                             {Run{Kube: lab.admin, handedOver: new(false)}, true, false, "it was decided when the run was handed over"},
		"an engine, by a volume that was asked for":                   {Run{AgentInjection: workflow.InjectImageVolume, handedOver: new(true)}, false, true, ""},
		"nodes that no account may list":                              {Run{Kube: lab.admin, Nodes: restricted}, true, false, refusal},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			run := tt.run
			run.Observe = func(event workflow.Event) { told = append(told, event.String()) }
			run.decideDelivery(t.Context(), tt.ownUser)
			if run.byVolume != tt.byVolume {
				t.Errorf("by a volume is %t", run.byVolume)
			}
			want := ""
			if tt.told != "" {
				want = "run stages: " + tt.told
			}
			if got := strings.Join(told, "\n"); got != want {
				t.Errorf("told %s\nwant %s", got, want)
			}
		})
	}
}
