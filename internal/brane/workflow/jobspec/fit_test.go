package jobspec

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/denial"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// quantities parses a list like "cpu=1 memory=64Mi".
func quantities(text string) corev1.ResourceList {
	var list corev1.ResourceList
	for part := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(part, "=")
		setQuantity(&list, corev1.ResourceName(name), resource.MustParse(value))
	}
	return list
}

// formatResources writes resources like "memory=64Mi/128Mi": request and limit.
func formatResources(resources corev1.ResourceRequirements) string {
	var parts []string
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		request, isRequested := resources.Requests[name]
		limit, isLimited := resources.Limits[name]
		if isRequested || isLimited {
			text := func(quantity resource.Quantity, found bool) string {
				if !found {
					return "-"
				}
				return quantity.String()
			}
			parts = append(parts, fmt.Sprintf("%s=%s/%s", name, text(request, isRequested), text(limit, isLimited)))
		}
	}
	return strings.Join(parts, " ")
}

// policyCase is a namespace with policies, the resources of a step in it, and what the agent's containers get.
type policyCase struct {
	container, pod corev1.LimitRangeItem // without their types
	quota          string
	requests       string // of the step
	limits         string
	stage, engine  string
	ownRequests    string // of the engine
	ownLimits      string
	problem        string // of the engine
}

const usualEngine = "cpu=50m/- memory=64Mi/256Mi"

var policyCases = map[string]policyCase{
	"nothing":                     {stage: "", engine: usualEngine},
	"a step with limits":          {requests: "memory=32Mi", limits: "memory=64Mi cpu=1", stage: "cpu=-/1 memory=32Mi/128Mi", engine: usualEngine},
	"a step with a limit":         {limits: "memory=64Mi", stage: "memory=64Mi/128Mi", engine: usualEngine},
	"a large step":                {limits: "memory=1Gi", stage: "memory=-/1Gi", engine: usualEngine},
	"a maximum":                   {container: corev1.LimitRangeItem{Max: quantities("memory=100Mi")}, requests: "memory=32Mi", limits: "memory=64Mi", stage: "memory=32Mi/100Mi", engine: "cpu=50m/- memory=64Mi/100Mi"},
	"a maximum and no limit":      {container: corev1.LimitRangeItem{Max: quantities("memory=100Mi")}, stage: "", engine: "cpu=50m/- memory=64Mi/100Mi"},
	"a maximum of the pod":        {pod: corev1.LimitRangeItem{Max: quantities("memory=100Mi")}, requests: "memory=32Mi", limits: "memory=64Mi", stage: "memory=32Mi/100Mi", engine: "cpu=50m/- memory=64Mi/100Mi"},
	"a small default":             {container: corev1.LimitRangeItem{Max: quantities("memory=100Mi"), Default: quantities("memory=16Mi")}, stage: "memory=16Mi/100Mi", engine: "cpu=50m/- memory=64Mi/100Mi"},
	"a minimum":                   {container: corev1.LimitRangeItem{Min: quantities("memory=512Mi cpu=100m")}, requests: "memory=512Mi cpu=100m", limits: "memory=1Gi cpu=1", stage: "cpu=100m/1 memory=512Mi/1Gi", engine: "cpu=100m/- memory=512Mi/512Mi"},
	"a ratio":                     {container: corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("memory=2 cpu=4")}, requests: "memory=40Mi cpu=100m", limits: "memory=64Mi cpu=200m", stage: "cpu=100m/200m memory=40Mi/80Mi", engine: "cpu=50m/200m memory=64Mi/128Mi"},
	"a ratio of one":              {container: corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("memory=1 cpu=1")}, requests: "memory=64Mi cpu=100m", limits: "memory=64Mi cpu=100m", stage: "cpu=100m/100m memory=64Mi/64Mi", engine: "cpu=50m/50m memory=64Mi/64Mi"},
	"a ratio below two":           {container: corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("cpu=1500m")}, requests: "cpu=100m", limits: "cpu=150m", stage: "cpu=100m/150m", engine: "cpu=50m/75m memory=64Mi/256Mi"},
	"a default CPU and a ratio":   {container: corev1.LimitRangeItem{Default: quantities("cpu=1"), MaxLimitRequestRatio: quantities("cpu=2")}, requests: "cpu=500m", stage: "cpu=500m/-", engine: "cpu=50m/100m memory=64Mi/256Mi"},
	"a quota of limits":           {quota: "limits.cpu=1 limits.memory=300Mi", limits: "cpu=500m memory=64Mi", stage: "cpu=-/500m memory=-/64Mi", engine: "cpu=50m/500m memory=64Mi/236Mi"},
	"a quota that a step fills":   {quota: "limits.cpu=1", limits: "cpu=1", stage: "cpu=-/1", engine: "cpu=10m/10m memory=64Mi/256Mi"},
	"a quota of requests":         {quota: "requests.cpu=100m requests.memory=1Gi", requests: "cpu=80m memory=64Mi", stage: "cpu=80m/- memory=64Mi/-", engine: "cpu=20m/- memory=64Mi/256Mi"},
	"a quota of disk":             {quota: "limits.ephemeral-storage=1Gi requests.ephemeral-storage=100Mi", requests: "ephemeral-storage=20Mi", limits: "ephemeral-storage=50Mi", stage: "ephemeral-storage=20Mi/50Mi", engine: usualEngine + " ephemeral-storage=1Mi/64Mi"},
	"a maximum that is too small": {container: corev1.LimitRangeItem{Max: quantities("memory=32Mi")}, limits: "memory=32Mi", stage: "memory=-/32Mi", problem: "the engine (wait = false) needs 64Mi of memory at least, but in the namespace a LimitRange allows 32Mi: raise that"},
	"a quota that is too small":   {quota: "limits.memory=40Mi", limits: "memory=32Mi", stage: "memory=-/32Mi", problem: "the engine (wait = false) needs 64Mi of memory at least, but in the namespace a ResourceQuota allows limits.memory = 40Mi: raise that"},
	"own limits":                  {ownLimits: "memory=1Gi cpu=2", engine: "cpu=50m/2 memory=64Mi/1Gi"},
	"a small own limit":           {ownLimits: "memory=32Mi", engine: "cpu=50m/- memory=32Mi/32Mi"},
	"an own request":              {ownRequests: "memory=1Gi cpu=1 ephemeral-storage=1Gi", engine: "cpu=1/- memory=1Gi/1Gi ephemeral-storage=1Gi/-"},
	"own resources and a ratio":   {container: corev1.LimitRangeItem{MaxLimitRequestRatio: quantities("memory=2 cpu=4")}, requests: "memory=40Mi cpu=100m", limits: "memory=64Mi cpu=200m", stage: "cpu=100m/200m memory=40Mi/80Mi", ownLimits: "memory=1Gi", ownRequests: "cpu=1", engine: "cpu=1/1 memory=512Mi/1Gi"},
	"more than the maximum":       {container: corev1.LimitRangeItem{Max: quantities("memory=512Mi")}, ownLimits: "memory=1Gi", problem: "the engine (wait = false) needs 1Gi of memory at least, but in the namespace a LimitRange allows 512Mi: raise that"},
	"a single pod":                {quota: "pods=1", stage: "", problem: "a ResourceQuota of the namespace allows 1 pods, and the engine (wait = false) needs one beside that of a step: raise it to 2 at least"},
	"a single Job":                {quota: "count/jobs.batch=1", stage: "", problem: "a ResourceQuota of the namespace allows 1 count/jobs.batch, and the engine (wait = false) needs one beside that of a step: raise it to 2 at least"},
}

func (c policyCase) objects() (ranges corev1.LimitRange, quota corev1.ResourceQuota) {
	for kind, item := range map[corev1.LimitType]corev1.LimitRangeItem{corev1.LimitTypeContainer: c.container, corev1.LimitTypePod: c.pod} {
		if item.Max != nil || item.Min != nil || item.MaxLimitRequestRatio != nil || item.Default != nil {
			item.Type = kind
			ranges.Spec.Limits = append(ranges.Spec.Limits, item)
		}
	}
	quota.Spec.Hard = quantities(c.quota)
	return ranges, quota
}

func (c policyCase) step() workflow.Step {
	return workflow.Step{
		Name: "step", Image: "tools:1", Command: []string{"true"},
		Resources: workflow.Resources{Requests: quantities(c.requests), Limits: quantities(c.limits)},
	}
}

// own returns the configured resources of the engine.
func (c policyCase) own() workflow.Resources {
	return workflow.Resources{Requests: quantities(c.ownRequests), Limits: quantities(c.ownLimits)}
}

// TestFit checks the resources of the agent's containers.
func TestFit(t *testing.T) {
	t.Parallel()
	for name, tt := range policyCases {
		ranges, quota := tt.objects()
		var policies Policies
		if name == "a maximum and no limit" {
			ranges.Spec.Limits[0].Default = ranges.Spec.Limits[0].Max // which the API server sets
		}
		policies.AddRange(ranges)
		policies.AddQuota(quota)
		if got := formatResources(policies.fitStage(tt.step().Resources)); got != tt.stage {
			t.Errorf("%s: the init container has %q, not %q", name, got, tt.stage)
		}
		resources, err := policies.FitEngine(workflowtest.GraphOf(t, tt.step()), tt.own())
		if tt.problem != "" {
			if fmt.Sprint(err) != tt.problem {
				t.Errorf("%s: got %v\nwant %s", name, err, tt.problem)
			}
			continue
		}
		if got := formatResources(resources); err != nil || got != tt.engine {
			t.Errorf("%s: the engine has %q, not %q, %v", name, got, tt.engine, err)
		}
	}
}

// TestQuotaScopes checks that a quota of other pods does not count.
func TestQuotaScopes(t *testing.T) {
	t.Parallel()
	for scope, counts := range map[corev1.ResourceQuotaScope]bool{
		corev1.ResourceQuotaScopeTerminating: false, corev1.ResourceQuotaScopeBestEffort: false, corev1.ResourceQuotaScopePriorityClass: false,
		corev1.ResourceQuotaScopeNotTerminating: true, corev1.ResourceQuotaScopeNotBestEffort: true,
	} {
		var policies Policies
		policies.AddQuota(corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: quantities("pods=1"), Scopes: []corev1.ResourceQuotaScope{scope}}})
		if (len(policies.Quotas) == 1) != counts {
			t.Errorf("a quota with the scope %s: %t", scope, !counts)
		}
	}
}

// The API server admits the pods of steps and engines in namespaces with these policies, in a dry run.
func TestPoliciesAdmitPods(t *testing.T) {
	t.Parallel()
	client := clustertest.Client(t)
	for name, tt := range policyCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespace := clustertest.Namespace(t)
			ranges, quota := tt.objects()
			ranges.Namespace, ranges.Name, quota.Namespace, quota.Name = namespace, "limits", namespace, "quota"
			for _, object := range []kube.Object{&ranges, &quota} {
				if err := client.Create(t.Context(), object); err != nil {
					t.Fatal(err)
				}
			}
			var policies Policies
			policies.AddRange(ranges)
			policies.AddQuota(quota)
			graph := workflowtest.GraphOf(t, tt.step())
			spec := &workflow.Spec{ID: "fit-3f9a1c0227d5e8b4", Graph: graph, Namespace: namespace, AgentImage: "agent:1"}
			template := Template{Spec: spec, Injection: workflow.InjectInitContainer, Policies: policies, Owner: ownerOf(spec), Secrets: secretsOf(spec), Deadline: time.Unix(1, 0)}
			job, err := template.BuildStepJob(graph.Step("step"), Attempt{Number: 1, Start: checkedStart})
			if err != nil {
				t.Fatal(err)
			}
			admit(t, client, namespace, "the step", job.Spec.Template.Spec)
			if resources, err := policies.FitEngine(graph, tt.own()); err == nil {
				job, err := BuildEngineJob(spec, "engine", "default", secretsOf(spec), ownerOf(spec), resources)
				if err != nil {
					t.Fatal(err)
				}
				admit(t, client, namespace, "the engine", job.Spec.Template.Spec)
			}
		})
	}
}

// admit creates a pod in a dry run, as soon as the namespace is complete.
func admit(t *testing.T, client *kube.Client, namespace, what string, spec corev1.PodSpec) {
	t.Helper()
	var last error
	err := testenv.Poll(t.Context(), func(ctx context.Context) (bool, error) {
		last = client.DryRunCreate(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "fit-"}, Spec: spec})
		denied, isDenied := denial.Find(last)
		return !isDenied || !slices.Contains([]denial.Cause{denial.QuotaUnknown, denial.MissingObject}, denied.Cause), nil
	})
	if err != nil || last != nil {
		t.Errorf("%s is not admitted: %v", what, last)
	}
}
