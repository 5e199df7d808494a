package workflowrun

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// podModel has the attributes that steps and `defaults` have in common.
type podModel struct {
	Image                        types.String              `tfsdk:"image"`
	WorkingDir                   types.String              `tfsdk:"working_dir"`
	Timeout                      timetypes.GoDuration      `tfsdk:"timeout"`
	Retries                      types.Int64               `tfsdk:"retries"`
	Env                          map[string]string         `tfsdk:"env"`
	EnvFromSecret                map[string]secretKeyModel `tfsdk:"env_from_secret"`
	Resources                    *resourcesModel           `tfsdk:"resources"`
	NodeSelector                 map[string]string         `tfsdk:"node_selector"`
	Tolerations                  []tolerationModel         `tfsdk:"tolerations"`
	Affinity                     types.String              `tfsdk:"affinity"`
	PriorityClassName            types.String              `tfsdk:"priority_class_name"`
	RuntimeClassName             types.String              `tfsdk:"runtime_class_name"`
	ServiceAccountName           types.String              `tfsdk:"service_account_name"`
	DataSizeLimit                attribute.Quantity        `tfsdk:"data_size_limit"`
	ImagePullSecrets             []string                  `tfsdk:"image_pull_secrets"`
	AutomountServiceAccountToken types.Bool                `tfsdk:"automount_service_account_token"`
	SecurityContext              *securityContextModel     `tfsdk:"security_context"`
	Volumes                      map[string]volumeModel    `tfsdk:"volumes"`
	PodPatch                     types.String              `tfsdk:"pod_patch"`
	placementModel
	metadataModel
}

type secretKeyModel struct {
	Secret string `tfsdk:"secret"`
	Key    string `tfsdk:"key"`
}

type resourcesModel struct {
	Requests map[string]attribute.Quantity `tfsdk:"requests"`
	Limits   map[string]attribute.Quantity `tfsdk:"limits"`
}

type tolerationModel struct {
	Key               types.String `tfsdk:"key"`
	Operator          types.String `tfsdk:"operator"`
	Value             types.String `tfsdk:"value"`
	Effect            types.String `tfsdk:"effect"`
	TolerationSeconds types.Int64  `tfsdk:"toleration_seconds"`
}

type securityContextModel struct {
	RunAsUser              types.Int64          `tfsdk:"run_as_user"`
	RunAsGroup             types.Int64          `tfsdk:"run_as_group"`
	FSGroup                types.Int64          `tfsdk:"fs_group"`
	SupplementalGroups     []int64              `tfsdk:"supplemental_groups"`
	ReadOnlyRootFilesystem types.Bool           `tfsdk:"read_only_root_filesystem"`
	Capabilities           *capabilitiesModel   `tfsdk:"capabilities"`
	SeccompProfile         *seccompProfileModel `tfsdk:"seccomp_profile"`
}

type capabilitiesModel struct {
	Add []string `tfsdk:"add"`
}

type seccompProfileModel struct {
	Type             types.String `tfsdk:"type"`
	LocalhostProfile types.String `tfsdk:"localhost_profile"`
}

type volumeModel struct {
	MountPath             types.String   `tfsdk:"mount_path"`
	SubPath               types.String   `tfsdk:"sub_path"`
	ReadOnly              types.Bool     `tfsdk:"read_only"`
	PersistentVolumeClaim types.String   `tfsdk:"persistent_volume_claim"`
	ConfigMap             types.String   `tfsdk:"config_map"`
	Secret                types.String   `tfsdk:"secret"`
	CSI                   *csiModel      `tfsdk:"csi"`
	EmptyDir              *emptyDirModel `tfsdk:"empty_dir"`
}

type csiModel struct {
	Driver            types.String      `tfsdk:"driver"`
	VolumeAttributes  map[string]string `tfsdk:"volume_attributes"`
	FSType            types.String      `tfsdk:"fs_type"`
	NodePublishSecret types.String      `tfsdk:"node_publish_secret"`
}

type emptyDirModel struct {
	Medium    types.String       `tfsdk:"medium"`
	SizeLimit attribute.Quantity `tfsdk:"size_limit"`
}

// withDefaults returns the step's values merged with the defaults; the step's take precedence.
func (m podModel) withDefaults(defaults podModel) podModel {
	m.Image = over(m.Image, defaults.Image)
	m.WorkingDir = over(m.WorkingDir, defaults.WorkingDir)
	m.Timeout = over(m.Timeout, defaults.Timeout)
	m.Retries = over(m.Retries, defaults.Retries)
	m.Env = entriesOver(m.Env, defaults.Env)
	m.EnvFromSecret = entriesOver(m.EnvFromSecret, defaults.EnvFromSecret)
	m.NodeSelector = entriesOver(m.NodeSelector, defaults.NodeSelector)
	if m.Tolerations == nil {
		m.Tolerations = defaults.Tolerations
	}
	m.Affinity = over(m.Affinity, defaults.Affinity)
	m.PriorityClassName = over(m.PriorityClassName, defaults.PriorityClassName)
	m.RuntimeClassName = over(m.RuntimeClassName, defaults.RuntimeClassName)
	m.ServiceAccountName = over(m.ServiceAccountName, defaults.ServiceAccountName)
	m.DataSizeLimit = over(m.DataSizeLimit, defaults.DataSizeLimit)
	if m.ImagePullSecrets == nil {
		m.ImagePullSecrets = defaults.ImagePullSecrets
	}
	m.Resources = m.Resources.withDefaults(defaults.Resources)
	m.AutomountServiceAccountToken = over(m.AutomountServiceAccountToken, defaults.AutomountServiceAccountToken)
	m.SecurityContext = m.SecurityContext.withDefaults(defaults.SecurityContext)
	m.Volumes = entriesOver(m.Volumes, defaults.Volumes)
	m.placementModel = m.placementModel.withDefaults(defaults.placementModel)
	return m
}

// over returns a value, or the default if it is null.
func over[T interface{ IsNull() bool }](own, otherwise T) T {
	if own.IsNull() {
		return otherwise
	}
	return own
}

// entriesOver merges two maps; the first takes precedence.
func entriesOver[V any](own, otherwise map[string]V) map[string]V {
	all := maps.Clone(otherwise)
	if all == nil {
		return own
	}
	maps.Copy(all, own)
	return all
}

func (m *resourcesModel) withDefaults(defaults *resourcesModel) *resourcesModel {
	if m == nil || defaults == nil {
		if m == nil {
			return defaults
		}
		return m
	}
	return &resourcesModel{Requests: entriesOver(m.Requests, defaults.Requests), Limits: entriesOver(m.Limits, defaults.Limits)}
}

func (m *securityContextModel) withDefaults(defaults *securityContextModel) *securityContextModel {
	if m == nil || defaults == nil {
		if m == nil {
			return defaults
		}
		return m
	}
	both := *m
	both.RunAsUser = over(m.RunAsUser, defaults.RunAsUser)
	both.RunAsGroup = over(m.RunAsGroup, defaults.RunAsGroup)
	both.FSGroup = over(m.FSGroup, defaults.FSGroup)
	if both.SupplementalGroups == nil {
		both.SupplementalGroups = defaults.SupplementalGroups
	}
	both.ReadOnlyRootFilesystem = over(m.ReadOnlyRootFilesystem, defaults.ReadOnlyRootFilesystem)
	if both.Capabilities == nil {
		both.Capabilities = defaults.Capabilities
	}
	if both.SeccompProfile == nil {
		both.SeccompProfile = defaults.SeccompProfile
	}
	return &both
}

// applyTo sets the values of the model in a step. at is the path of the attributes.
func (m podModel) applyTo(step *workflow.Step, at path.Path, diags *diag.Diagnostics) {
	step.Image, step.WorkingDir = m.Image.ValueString(), m.WorkingDir.ValueString()
	step.Timeout = attribute.DurationOrZero(m.Timeout, diags)
	step.Retries = int32(m.Retries.ValueInt64()) //nolint:gosec // at most 100
	step.Env = m.Env
	for name, source := range m.EnvFromSecret {
		if step.EnvFromSecret == nil {
			step.EnvFromSecret = map[string]workflow.SecretKey{}
		}
		step.EnvFromSecret[name] = workflow.SecretKey(source)
	}
	step.ServiceAccountName, step.PullSecrets = m.ServiceAccountName.ValueString(), slices.Sorted(slices.Values(m.ImagePullSecrets))
	if m.Resources != nil {
		step.Resources = workflow.Resources{Requests: attribute.ToResourceList(m.Resources.Requests, diags), Limits: attribute.ToResourceList(m.Resources.Limits, diags)}
	}
	if !m.DataSizeLimit.IsNull() {
		limit := m.DataSizeLimit.ToAPI("data_size_limit", diags)
		step.DataSizeLimit = limit.Value()
	}
	step.Placement = m.placement(at, diags)
	m.placementModel.applyTo(step)
	step.AutomountServiceAccountToken = m.AutomountServiceAccountToken.ValueBool()
	if m.SecurityContext != nil {
		step.SecurityContext = m.SecurityContext.securityContext()
	}
	for _, name := range slices.Sorted(maps.Keys(m.Volumes)) {
		step.Volumes = append(step.Volumes, m.Volumes[name].toVolume(name, diags))
	}
}

func (m podModel) placement(at path.Path, diags *diag.Diagnostics) workflow.Placement {
	placement := workflow.Placement{PriorityClassName: m.PriorityClassName.ValueString(), RuntimeClassName: m.RuntimeClassName.ValueString()}
	if len(m.NodeSelector) > 0 {
		placement.NodeSelector = m.NodeSelector
	}
	for _, toleration := range m.Tolerations {
		placement.Tolerations = append(placement.Tolerations, corev1.Toleration{
			Key: toleration.Key.ValueString(), Operator: corev1.TolerationOperator(toleration.Operator.ValueString()), Value: toleration.Value.ValueString(),
			Effect: corev1.TaintEffect(toleration.Effect.ValueString()), TolerationSeconds: toleration.TolerationSeconds.ValueInt64Pointer(),
		})
	}
	if !m.Affinity.IsNull() {
		affinity, err := parseAffinity(m.Affinity.ValueString())
		if err != nil { // it was unknown during validation
			at := at.AtName("affinity")
			diags.AddAttributeError(at, "Invalid affinity", fmt.Sprintf("Parsing %s as spec.affinity of a pod: %s.", at, err))
		}
		placement.Affinity = affinity
	}
	return placement
}

func (m securityContextModel) securityContext() workflow.SecurityContext {
	security := workflow.SecurityContext{
		RunAsUser: m.RunAsUser.ValueInt64Pointer(), RunAsGroup: m.RunAsGroup.ValueInt64Pointer(), FSGroup: m.FSGroup.ValueInt64Pointer(),
		SupplementalGroups: slices.Sorted(slices.Values(m.SupplementalGroups)), ReadOnlyRootFilesystem: m.ReadOnlyRootFilesystem.ValueBool(),
	}
	if m.Capabilities != nil {
		security.Capabilities = slices.Sorted(slices.Values(m.Capabilities.Add))
	}
	// RuntimeDefault is the default: setting it explicitly does not change the identity of the run.
	if profile := m.SeccompProfile; profile != nil && profile.Type.ValueString() != string(corev1.SeccompProfileTypeRuntimeDefault) {
		security.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileType(profile.Type.ValueString()), LocalhostProfile: profile.LocalhostProfile.ValueStringPointer()}
	}
	return security
}

func (m volumeModel) toVolume(name string, diags *diag.Diagnostics) workflow.Volume {
	volume := workflow.Volume{Name: name, MountPath: m.MountPath.ValueString(), SubPath: m.SubPath.ValueString(), ReadOnly: m.ReadOnly.ValueBool()}
	source := &volume.Source
	switch {
	case !m.PersistentVolumeClaim.IsNull():
		source.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: m.PersistentVolumeClaim.ValueString(), ReadOnly: volume.ReadOnly}
	case !m.ConfigMap.IsNull():
		source.ConfigMap = &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: m.ConfigMap.ValueString()}}
	case !m.Secret.IsNull():
		source.Secret = &corev1.SecretVolumeSource{SecretName: m.Secret.ValueString()}
	case m.CSI != nil:
		source.CSI = &corev1.CSIVolumeSource{
			Driver: m.CSI.Driver.ValueString(), ReadOnly: &volume.ReadOnly, FSType: m.CSI.FSType.ValueStringPointer(), VolumeAttributes: m.CSI.VolumeAttributes,
		}
		if !m.CSI.NodePublishSecret.IsNull() {
			source.CSI.NodePublishSecretRef = &corev1.LocalObjectReference{Name: m.CSI.NodePublishSecret.ValueString()}
		}
	case m.EmptyDir != nil:
		source.EmptyDir = &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMedium(m.EmptyDir.Medium.ValueString())}
		if !m.EmptyDir.SizeLimit.IsNull() {
			limit := m.EmptyDir.SizeLimit.ToAPI("size_limit", diags)
			source.EmptyDir.SizeLimit = &limit
		}
	}
	return volume
}
