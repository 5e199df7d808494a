package jobspec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// patchesByFeature sets each feature by a pod patch.
var patchesByFeature = map[string]string{
	"spec.volumes[].image":                                  "spec: {volumes: [{name: model, image: {reference: 'model:1'}}]}",
	"spec.resourceClaims":                                   "spec: {resourceClaims: [{name: gpu, resourceClaimName: gpu}]}",
	"spec.affinity.….matchLabelKeys":                        "spec: {affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: zone, matchLabelKeys: [a]}}]}}}",
	"spec.hostUsers":                                        "spec: {hostUsers: false}",
	"spec.hostnameOverride":                                 "spec: {hostnameOverride: other}",
	"spec.resources":                                        "spec: {resources: {limits: {memory: 1Gi}}}",
	"spec.securityContext.supplementalGroupsPolicy":         "spec: {securityContext: {supplementalGroupsPolicy: Strict}}",
	"spec.securityContext.seLinuxChangePolicy":              "spec: {securityContext: {seLinuxChangePolicy: Recursive}}",
	"spec.containers[].securityContext.procMount":           "spec: {containers: [{name: step, securityContext: {procMount: Default}}]}",
	"spec.containers[].resizePolicy":                        "spec: {containers: [{name: step, resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]}]}",
	"spec.containers[].restartPolicyRules":                  "spec: {initContainers: [{name: wait, image: 'a:1', restartPolicyRules: [{action: Restart}]}]}",
	"spec.containers[].lifecycle.stopSignal":                "spec: {initContainers: [{name: wait, image: 'a:1', lifecycle: {stopSignal: SIGINT}}]}",
	"spec.containers[].volumeMounts[].recursiveReadOnly":    "spec: {volumes: [{name: v, emptyDir: {}}], containers: [{name: step, volumeMounts: [{name: v, mountPath: /v, readOnly: true, recursiveReadOnly: Enabled}]}]}",
	"spec.containers[].env[].valueFrom.fileKeyRef":          "spec: {containers: [{name: step, env: [{name: A, valueFrom: {fileKeyRef: {volumeName: v, path: f, key: A}}}]}]}",
	"spec.volumes[].projected.sources[].clusterTrustBundle": "spec: {volumes: [{name: ca, projected: {sources: [{clusterTrustBundle: {name: ca, path: ca.pem}}]}}]}",
	"spec.volumes[].projected.sources[].podCertificate":     "spec: {volumes: [{name: cert, projected: {sources: [{podCertificate: {signerName: a/b, keyType: ED25519}}]}}]}",
}

// findFeatures returns the features of a step that a server of this version may drop, with what sets them.
func findFeatures(t *testing.T, server string, injection workflow.AgentInjection, step workflow.Step) (found []string) {
	t.Helper()
	graph, err := workflow.NewGraph([]workflow.Step{step})
	if err != nil {
		t.Fatal(err)
	}
	template := Template{Spec: &workflow.Spec{ID: "run", Graph: graph, AgentImage: "agent:1"}, Injection: injection, Deadline: time.Unix(7, 0)}
	steps, err := template.FindFeatures(version.MustParseGeneric(server))
	if err != nil {
		t.Fatal(err)
	}
	for _, features := range steps {
		for _, use := range features.Uses {
			if !use.IsKept(features.Job.Spec.Template.Spec) || use.IsKept(corev1.PodSpec{}) {
				t.Errorf("%s is not found in the Job of %s, or in an empty pod", use.Field, features.Step)
			}
			by := use.Attribute
			if by == "" {
				by = fmt.Sprintf("pod_patch %d", use.Patch)
			}
			found = append(found, use.Field+" by "+by)
		}
	}
	return found
}

// TestFeaturesArePatched checks that each feature is found in a patched pod, on the last version before that which enables it, and not on that one.
func TestFeaturesArePatched(t *testing.T) {
	t.Parallel()
	for _, feature := range features {
		t.Run(feature.Field, func(t *testing.T) {
			step := workflow.Step{Name: "one", Image: "tools:1", Command: []string{"true"}}
			for _, patch := range []string{"spec: {hostNetwork: true}", patchesByFeature[feature.Field], "spec: {hostIPC: true}"} {
				step.PodPatches = append(step.PodPatches, parsePatch(t, patch))
			}
			before, enabled := fmt.Sprintf("1.%d.9", feature.enabled-1), fmt.Sprintf("1.%d.0", feature.enabled)
			if got, want := findFeatures(t, before, workflow.InjectInitContainer, step), []string{feature.Field + " by pod_patch 1"}; !slices.Equal(got, want) {
				t.Errorf("Kubernetes %s: got %q, want %q", before, got, want)
			}
			if got := findFeatures(t, enabled, workflow.InjectInitContainer, step); len(got) > 0 {
				t.Errorf("Kubernetes %s: got %q, want none", enabled, got)
			}
		})
	}
	if len(patchesByFeature) != len(features) {
		t.Errorf("%d patches for %d features", len(patchesByFeature), len(features))
	}
}

// TestFeaturesOfAttributes checks the features that attributes set, with the versions that have them.
func TestFeaturesOfAttributes(t *testing.T) {
	t.Parallel()
	plain := workflow.Step{Name: "one", Image: "tools:1", Command: []string{"true"}}
	device := plain
	device.ResourceClaims = []workflow.ResourceClaim{{PodResourceClaim: corev1.PodResourceClaim{Name: "gpu", ResourceClaimName: new("gpu")}}}
	near := plain
	near.Placement.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{TopologyKey: "zone", MismatchLabelKeys: []string{"team"}},
	}}}
	spread := plain
	spread.Placement.TopologySpread = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone", MinDomains: new(int32(2))}}
	for name, tt := range map[string]struct {
		server    string
		injection workflow.AgentInjection
		step      workflow.Step
		want      string
	}{
		"a step without any, on the minimum": {"1.30.0", workflow.InjectInitContainer, plain, ""},
		"a spread":                           {"1.30.0", workflow.InjectInitContainer, spread, ""},
		"an image volume, unknown":           {"1.30.14", workflow.InjectImageVolume, plain, "spec.volumes[].image by agent_injection"},
		"an image volume, disabled":          {"1.34.4", workflow.InjectImageVolume, plain, "spec.volumes[].image by agent_injection"},
		"an image volume":                    {"1.35.0", workflow.InjectImageVolume, plain, ""},
		"a device, disabled":                 {"1.33.1", workflow.InjectInitContainer, device, "spec.resourceClaims by resource_claims"},
		"a device":                           {"1.34.0", workflow.InjectInitContainer, device, ""},
		"an affinity":                        {"1.30.14", workflow.InjectInitContainer, near, "spec.affinity.….matchLabelKeys by affinity"},
		"both":                               {"1.30.14", workflow.InjectImageVolume, device, "spec.volumes[].image by agent_injection, spec.resourceClaims by resource_claims"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(findFeatures(t, tt.server, tt.injection, tt.step), ", "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRequirement(t *testing.T) {
	t.Parallel()
	for _, feature := range features {
		want := map[string]string{
			"spec.volumes[].image":                   "Kubernetes 1.35 or later, or 1.31 or later with the feature gate ImageVolume",
			"spec.hostUsers":                         "Kubernetes 1.33 or later, or 1.30 or later with the feature gate UserNamespacesSupport",
			"spec.containers[].lifecycle.stopSignal": "Kubernetes 1.33 or later",
		}[feature.Field]
		if got := feature.Requirement(); want != "" && got != want {
			t.Errorf("%s: got %q, want %q", feature.Field, got, want)
		}
		if feature.IsKnown(version.MajorMinor(1, feature.known-1)) || !feature.IsKnown(version.MajorMinor(1, feature.known)) {
			t.Errorf("%s is not known since 1.%d", feature.Field, feature.known)
		}
	}
}
