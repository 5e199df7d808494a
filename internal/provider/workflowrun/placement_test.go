package workflowrun

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// affinities are texts of affinities, with a part of the error; empty if they are valid.
var affinities = map[string]string{
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}}}`:      "",
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}`:                                                                                "must have at least one node selector term",
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In"}]}]}}}`:                       "matchExpressions[0].values: Required value",
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "in", "values": ["a"]}]}]}}}`:      `Unsupported value: "in"`,
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a b", "operator": "Exists"}]}]}}}`:                    "matchExpressions[0].key",
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["x"]}]}]}}}`:     "may not be specified when the operator is Exists",
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1", "2"]}]}]}}}`:    "must have one integer",
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}}}`: "",
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "name", "operator": "In", "values": ["n1"]}]}]}}}`:          `Unsupported value: "name"`,
	`{"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": []}]}]}}}`:     "must have one element",
	`{"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]}}`:               "",
	`{"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]}}`:               "must be in the range 1-100",
	`{"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": "kubernetes.io/hostname"}]}}`:                 "",
	`{"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {"matchLabels": {"a": "b"}}}]}}`:                                                          "topologyKey: Required value",
	`{"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 101, "podAffinityTerm": {"topologyKey": "zone"}}]}}`:                                        "must be in the range 1-100",
	`{"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone", "labelSelector": {"matchExpressions": [{"key": "a", "operator": "Gt"}]}}]}}`:    "podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector",
	`{"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone", "namespaces": ["A"]}]}}`:                                                        "namespaces[0]",
	"nodeAffinity:\n  required: []\n": "unknown field",
	"{}":                              "it has none of",
}

func TestAffinities(t *testing.T) {
	t.Parallel()
	for text, want := range affinities {
		_, err := parseAffinity(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// toleration has the values of the attributes of a toleration.
type toleration struct {
	key, operator, value, effect string
	seconds                      int64
	problem                      string
}

var tolerations = []toleration{
	{key: "gpu", value: "yes"},
	{key: "gpu", operator: "Exists", effect: "NoExecute", seconds: 5},
	{operator: "Exists"},
	{problem: `tolerations[0].operator: without a key, which tolerates every taint, it must be "Exists".`},
	{value: "yes", problem: `tolerations[0].operator: without a key, which tolerates every taint, it must be "Exists".`},
	{key: "gpu", operator: "Exists", value: "yes", problem: `tolerations[0].value: with the operator "Exists" every value matches; remove it, or set the operator to "Equal".`},
	{key: "gpu", operator: "Exists", effect: "NoSchedule", seconds: 5, problem: `tolerations[0].toleration_seconds: only taints with the effect "NoExecute" end a running pod; set effect = "NoExecute".`},
	{key: "gpu", operator: "Exists", seconds: 5, problem: `tolerations[0].toleration_seconds: only taints with the effect "NoExecute" end a running pod; set effect = "NoExecute".`},
}

func TestTolerations(t *testing.T) {
	t.Parallel()
	for _, tt := range tolerations {
		text := func(value string) attr.Value {
			if value == "" {
				return types.StringNull()
			}
			return types.StringValue(value)
		}
		seconds := types.Int64Null()
		if tt.seconds != 0 {
			seconds = types.Int64Value(tt.seconds)
		}
		values := map[string]attr.Value{"key": text(tt.key), "operator": text(tt.operator), "value": text(tt.value), "effect": text(tt.effect), "toleration_seconds": seconds}
		kinds := map[string]attr.Type{"key": types.StringType, "operator": types.StringType, "value": types.StringType, "effect": types.StringType, "toleration_seconds": types.Int64Type}
		validate := func() string {
			var resp validator.ObjectResponse
			tolerationRule{}.ValidateObject(t.Context(), validator.ObjectRequest{Path: path.Root("tolerations").AtListIndex(0), ConfigValue: types.ObjectValueMust(kinds, values)}, &resp)
			var problems []string
			for _, problem := range resp.Diagnostics {
				problems = append(problems, problem.Detail())
			}
			return strings.Join(problems, "\n")
		}
		if got := validate(); got != tt.problem {
			t.Errorf("%+v: got %s", tt, got)
		}
		for name, kind := range kinds { // a value that is not known yet may be the right one
			before := values[name]
			values[name] = types.StringUnknown()
			if kind == types.Int64Type {
				values[name] = types.Int64Unknown()
			}
			if got := validate(); strings.Contains(got, "tolerations[0]."+name+": only") || tt.problem == "" && name != "value" && got != "" {
				t.Errorf("%+v with an unknown %s: %s", tt, name, got)
			}
			values[name] = before
		}
	}
}

// The API server refuses the same affinities and tolerations.
func TestPlacementsAgreeWithServer(t *testing.T) {
	t.Parallel()
	client, namespace := clustertest.Client(t), clustertest.Namespace(t)
	for text, problem := range affinities {
		affinity, err := parseAffinity(text)
		if err != nil && affinity == nil {
			continue // the server does not see the text
		}
		checkServer(t, client, namespace, text, corev1.PodSpec{Affinity: affinity}, problem)
	}
	for _, tt := range tolerations {
		toleration := corev1.Toleration{Key: tt.key, Operator: corev1.TolerationOperator(tt.operator), Value: tt.value, Effect: corev1.TaintEffect(tt.effect)}
		if tt.seconds != 0 {
			toleration.TolerationSeconds = &tt.seconds
		}
		checkServer(t, client, namespace, fmt.Sprintf("%+v", tt), corev1.PodSpec{Tolerations: []corev1.Toleration{toleration}}, tt.problem)
	}
}

// checkServer checks whether the API server accepts a pod, in a dry run.
func checkServer(t *testing.T, client *kube.Client, namespace, what string, spec corev1.PodSpec, problem string) {
	t.Helper()
	spec.Containers = []corev1.Container{{Name: "a", Image: "a"}}
	var last error
	err := testenv.Poll(t.Context(), func(ctx context.Context) (bool, error) {
		last = client.DryRunCreate(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "check-"}, Spec: spec})
		return last == nil || apierrors.IsInvalid(last), nil // before, the service account of the namespace does not exist
	})
	if err != nil || (last == nil) != (problem == "") {
		t.Errorf("%s: the server says %v, the provider %q", what, last, problem)
	}
}
