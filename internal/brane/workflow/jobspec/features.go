package jobspec

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// An API server silently drops the fields of a pod that it does not know, and those of a disabled feature gate. A step would then run without the
// device or the isolation that its configuration asks for. So the fields that not every supported Kubernetes has are looked for in the finished pods,
// after the patches of users.

// Feature is such a field of a pod.
type Feature struct {
	Field string // in the pod template
	Gate  string // the feature gate of Kubernetes

	attribute string // that sets the field; empty if only a pod patch can
	known     uint   // minor version of the first API with the field
	enabled   uint   // minor version since which the gate is enabled by default
	isUsed    func(corev1.PodSpec) bool
}

// features are the fields that came after Kubernetes 1.30, or whose gates were enabled after it: the versions are those of kube_features.go in
// Kubernetes 1.37. Kubernetes 1.30 enables what the provider itself needs: podReplacementPolicy, backoffLimitPerIndex and podFailurePolicy of a Job.
var features = []Feature{
	{"spec.volumes[].image", "ImageVolume", "agent_injection", 31, 35, anyVolume(func(v corev1.Volume) bool { return v.Image != nil })},
	// Kubernetes 1.30 has the names of claims in another field.
	{"spec.resourceClaims", "DynamicResourceAllocation", "resource_claims", 31, 34, func(p corev1.PodSpec) bool { return len(p.ResourceClaims) > 0 }},
	{"spec.affinity.….matchLabelKeys", "MatchLabelKeysInPodAffinity", "affinity", 29, 31, hasMatchLabelKeys},
	{"spec.hostUsers", "UserNamespacesSupport", "", 25, 33, func(p corev1.PodSpec) bool { return p.HostUsers != nil }},
	{"spec.hostnameOverride", "HostnameOverride", "", 34, 35, func(p corev1.PodSpec) bool { return p.HostnameOverride != nil }},
	{"spec.resources", "PodLevelResources", "", 32, 34, func(p corev1.PodSpec) bool { return p.Resources != nil }},
	{"spec.securityContext.supplementalGroupsPolicy", "SupplementalGroupsPolicy", "", 31, 33, func(p corev1.PodSpec) bool {
		return p.SecurityContext != nil && p.SecurityContext.SupplementalGroupsPolicy != nil
	}},
	{"spec.securityContext.seLinuxChangePolicy", "SELinuxChangePolicy", "", 32, 33, func(p corev1.PodSpec) bool {
		return p.SecurityContext != nil && p.SecurityContext.SELinuxChangePolicy != nil
	}},
	{"spec.containers[].securityContext.procMount", "ProcMountType", "", 12, 33, anyContainer(func(c corev1.Container) bool {
		return c.SecurityContext != nil && c.SecurityContext.ProcMount != nil
	})},
	{"spec.containers[].resizePolicy", "InPlacePodVerticalScaling", "", 27, 33, anyContainer(func(c corev1.Container) bool { return len(c.ResizePolicy) > 0 })},
	{"spec.containers[].restartPolicyRules", "ContainerRestartRules", "", 34, 35, anyContainer(func(c corev1.Container) bool { return len(c.RestartPolicyRules) > 0 })},
	// No version enables this gate by default, so only its absence is known.
	{"spec.containers[].lifecycle.stopSignal", "ContainerStopSignals", "", 33, 33, anyContainer(func(c corev1.Container) bool {
		return c.Lifecycle != nil && c.Lifecycle.StopSignal != nil
	})},
	{"spec.containers[].volumeMounts[].recursiveReadOnly", "RecursiveReadOnlyMounts", "", 30, 31, anyContainer(func(c corev1.Container) bool {
		return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.RecursiveReadOnly != nil })
	})},
	{"spec.containers[].env[].valueFrom.fileKeyRef", "EnvFiles", "", 34, 35, anyContainer(func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.ValueFrom != nil && e.ValueFrom.FileKeyRef != nil })
	})},
	{"spec.volumes[].projected.sources[].clusterTrustBundle", "ClusterTrustBundleProjection", "", 29, 37, anyProjection(func(p corev1.VolumeProjection) bool {
		return p.ClusterTrustBundle != nil
	})},
	{"spec.volumes[].projected.sources[].podCertificate", "PodCertificateRequest", "", 34, 37, anyProjection(func(p corev1.VolumeProjection) bool {
		return p.PodCertificate != nil
	})},
}

func anyContainer(is func(corev1.Container) bool) func(corev1.PodSpec) bool {
	return func(pod corev1.PodSpec) bool {
		return slices.ContainsFunc(slices.Concat(pod.InitContainers, pod.Containers), is)
	}
}

func anyVolume(is func(corev1.Volume) bool) func(corev1.PodSpec) bool {
	return func(pod corev1.PodSpec) bool { return slices.ContainsFunc(pod.Volumes, is) }
}

func anyProjection(is func(corev1.VolumeProjection) bool) func(corev1.PodSpec) bool {
	return anyVolume(func(v corev1.Volume) bool { return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, is) })
}

// hasMatchLabelKeys reports whether a term of the affinity to pods uses the labels of the pod itself.
func hasMatchLabelKeys(pod corev1.PodSpec) bool {
	if pod.Affinity == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	var weighted []corev1.WeightedPodAffinityTerm
	if to := pod.Affinity.PodAffinity; to != nil {
		terms, weighted = append(terms, to.RequiredDuringSchedulingIgnoredDuringExecution...), append(weighted, to.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	if from := pod.Affinity.PodAntiAffinity; from != nil {
		terms, weighted = append(terms, from.RequiredDuringSchedulingIgnoredDuringExecution...), append(weighted, from.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	for _, term := range weighted {
		terms = append(terms, term.PodAffinityTerm)
	}
	return slices.ContainsFunc(terms, func(term corev1.PodAffinityTerm) bool {
		return len(term.MatchLabelKeys)+len(term.MismatchLabelKeys) > 0
	})
}

// IsKnown reports whether the API of a version has the field.
func (f Feature) IsKnown(server *version.Version) bool {
	return server.AtLeast(version.MajorMinor(1, f.known))
}

// IsKept reports whether a pod that an API server has returned has the field.
func (f Feature) IsKept(pod corev1.PodSpec) bool { return f.isUsed(pod) }

// Requirement describes which versions of Kubernetes have the field.
func (f Feature) Requirement() string {
	if f.known >= f.enabled {
		return fmt.Sprintf("Kubernetes 1.%d or later", f.enabled)
	}
	return fmt.Sprintf("Kubernetes 1.%d or later, or 1.%d or later with the feature gate %s", f.enabled, max(f.known, 30), f.Gate)
}

// FeatureUse is a feature in the pods of a step.
type FeatureUse struct {
	Feature
	Attribute string // that sets the field; empty for a pod patch
	Patch     int    // the index of this patch, among those of the step
}

// StepFeatures are the features in the pods of a step that an API server may drop.
type StepFeatures struct {
	Step string
	Job  *batchv1.Job
	Uses []FeatureUse
}

// FindFeatures returns the features in the pods of the run that an API server of this version does not have, or does not enable by default.
func (t Template) FindFeatures(server *version.Version) (found []StepFeatures, err error) {
	doubtful := slices.DeleteFunc(slices.Clone(features), func(f Feature) bool { return server.AtLeast(version.MajorMinor(1, f.enabled)) })
	if len(doubtful) == 0 {
		return nil, nil
	}
	for _, step := range t.Spec.Graph.All() {
		job, err := t.BuildStepJob(step, Attempt{Number: 1, Start: checkedStart})
		if err != nil {
			return nil, err
		}
		in := StepFeatures{Step: step.Name, Job: job}
		for _, feature := range doubtful {
			if !feature.isUsed(job.Spec.Template.Spec) {
				continue
			}
			use, err := t.locateFeature(step, feature)
			if err != nil {
				return nil, err
			}
			in.Uses = append(in.Uses, use)
		}
		if len(in.Uses) > 0 {
			found = append(found, in)
		}
	}
	return found, nil
}

// locateFeature finds the attribute or the first pod patch that sets the field in the pods of a step.
func (t Template) locateFeature(step workflow.Step, feature Feature) (FeatureUse, error) {
	all := step.PodPatches
	for i := range len(all) + 1 {
		step.PodPatches = all[:i]
		job, err := t.BuildStepJob(step, Attempt{Number: 1, Start: checkedStart})
		if err != nil {
			return FeatureUse{}, err
		}
		if feature.isUsed(job.Spec.Template.Spec) && i > 0 {
			return FeatureUse{Feature: feature, Patch: i - 1}, nil
		}
		if feature.isUsed(job.Spec.Template.Spec) {
			break
		}
	}
	return FeatureUse{Feature: feature, Attribute: feature.attribute}, nil
}
