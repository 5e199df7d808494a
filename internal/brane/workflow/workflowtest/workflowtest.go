// Package workflowtest has steps and graphs for the tests of the packages below workflow.
package workflowtest

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// FullStep returns a step with all fields that concern its pod.
func FullStep() workflow.Step {
	return workflow.Step{
		Name: "full", Image: "registry.example.org/train:2", Command: []string{"train"}, Needs: []string{"split"},
		Env: map[string]string{"LANG": "C"}, EnvFromSecret: map[string]workflow.SecretKey{"TOKEN": {Secret: "hub", Key: "token"}}, SecretEnv: map[string]string{"PASSWORD": "s3cret"},
		Reads: []string{"corpus/**"}, Writes: []string{"model"}, Retries: 3, DataSizeLimit: 10 << 30,
		Resources: workflow.Resources{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("500m")},
			Limits:   corev1.ResourceList{"memory": resource.MustParse("64Mi"), "nvidia.com/gpu": resource.MustParse("1")},
		},
		Placement: workflow.Placement{
			NodeSelector: map[string]string{"disk": "ssd"},
			Tolerations:  []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}},
			Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"a", "b"}}}}},
			}}},
			PriorityClassName: "batch", RuntimeClassName: "nvidia", SchedulerName: "volcano",
			TopologySpread: []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.ScheduleAnyway}},
		},
		TerminationGracePeriod: time.Minute, HostAliases: []corev1.HostAlias{{IP: "203.0.113.7", Hostnames: []string{"license.example.org"}}},
		DNSConfig:          &corev1.PodDNSConfig{Searches: []string{"example.org"}},
		ResourceClaims:     []workflow.ResourceClaim{{PodResourceClaim: corev1.PodResourceClaim{Name: "gpu", ResourceClaimName: new("one-gpu")}, Request: "gpu"}},
		Metadata:           workflow.Metadata{Labels: map[string]string{"team": "imaging"}, Annotations: map[string]string{"sidecar.istio.io/inject": "false"}},
		ServiceAccountName: "trainer", PullSecrets: []string{"registry"},
		AutomountServiceAccountToken: true,
		SecurityContext: workflow.SecurityContext{
			RunAsUser: new(int64(1000)), RunAsGroup: new(int64(2000)), FSGroup: new(int64(3000)), SupplementalGroups: []int64{4000},
			ReadOnlyRootFilesystem: true, Capabilities: []string{"NET_RAW"}, SeccompProfile: LocalhostProfile("profiles/train.json"),
		},
		Volumes: []workflow.Volume{
			{Name: "cache", MountPath: "/cache", SubPath: "train", Source: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "cache"}}},
			{Name: "juice", MountPath: "/jfs", ReadOnly: true, Source: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "csi.juicefs.com", VolumeAttributes: map[string]string{"mountOptions": "ro"}}}},
			{Name: "tmp", MountPath: "/tmp", Source: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	}
}

// LocalhostProfile returns a seccomp profile on the node.
func LocalhostProfile(profile string) *corev1.SeccompProfile {
	return &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: &profile}
}

// Steps returns steps for texts like "name: need need".
func Steps(lines ...string) []workflow.Step {
	var all []workflow.Step
	for _, line := range lines {
		name, needs, _ := strings.Cut(line, ":")
		all = append(all, workflow.Step{Name: name, Needs: strings.Fields(needs)})
	}
	return all
}

// Graph returns the graph of [Steps].
func Graph(t *testing.T, lines ...string) workflow.Graph {
	t.Helper()
	g, err := workflow.NewGraph(Steps(lines...))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// CallStep returns a step that calls a function.
func CallStep(name string, version branelet.Version, arguments map[string]workflow.Argument, needs ...string) workflow.Step {
	return workflow.Step{
		Name: name, Command: []string{branelet.EntryPoint}, Needs: needs,
		Call: &workflow.Call{Package: "filesystem:1.0.0", Brane: version, Kind: version.CodeKind(), Function: "write", Arguments: arguments},
	}
}

// Argument returns an argument with this value.
func Argument(json string) workflow.Argument { return workflow.Argument{Value: []byte(json)} }

// GraphOf returns the graph of steps.
func GraphOf(t *testing.T, steps ...workflow.Step) workflow.Graph {
	t.Helper()
	g, err := workflow.NewGraph(steps)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
