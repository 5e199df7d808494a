package workflowrun

import (
	"math"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// podAttributes returns the attributes of a container and its pod that steps and `defaults` have in common.
func podAttributes() map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{
		"image": schema.StringAttribute{
			MarkdownDescription: "Container image. It is pulled by the nodes of the cluster." + runsStep,
			Optional:            true,
			Validators:          []validator.String{attribute.ImageReference()},
		},
		"working_dir": schema.StringAttribute{
			MarkdownDescription: "Working directory of the command, an absolute path. Defaults to that of the image." + runsStep,
			Optional:            true,
			Validators:          []validator.String{attribute.AbsolutePath()},
		},
		"timeout": schema.StringAttribute{
			MarkdownDescription: "Maximum duration of the step, including its start, for example `10m` (`activeDeadlineSeconds` of the Job). Defaults to no limit other than that of the run." + runsNothing,
			CustomType:          timetypes.GoDurationType{},
			Optional:            true,
			Validators:          []validator.String{attribute.DurationAtLeast(time.Second, "a second")},
		},
		"retries": schema.Int64Attribute{
			MarkdownDescription: "How often a failed container is retried in a new pod, after 10 s, 20 s, 40 s and so on up to 10 minutes. Kubernetes controls these delays. A pod that was stopped from outside (deleted, drained or preempted) is replaced and does not count; after three evictions because its nodes were short of disk or memory, the step, or the index of a fan-out step, fails. Defaults to `0`." + runsNothing,
			Optional:            true,
			Validators:          []validator.Int64{int64validator.Between(0, 100)},
		},
		"resources": resourcesAttribute("Resource requests and limits of the container, by resource name: `cpu`, `memory`, `ephemeral-storage`, `nvidia.com/gpu` or any other resource of the nodes." + runsNothing),
		"data_size_limit": schema.StringAttribute{
			MarkdownDescription: "Maximum size of the files at `/data`, for example `10Gi`. A pod that exceeds it is evicted, which counts as a failure of the container (see `retries`). Defaults to no limit other than that of the node and of `ephemeral-storage` in `resources.limits`." + runsNothing,
			CustomType:          attribute.QuantityType{},
			Optional:            true,
			Validators:          []validator.String{attribute.ValidByteSize},
		},
		"security_context":   securityContextAttribute(),
		"volumes":            volumesAttribute(),
		"image_pull_secrets": attribute.NewNames("Names of Secrets in the namespace with the credentials for pulling images. Defaults to those of the service account." + runsNothing),
		"service_account_name": schema.StringAttribute{
			MarkdownDescription: "Name of the ServiceAccount of the pod. Defaults to the `default` ServiceAccount of the namespace." + runsStep,
			Optional:            true,
			Validators:          []validator.String{attribute.DNSSubdomain()},
		},
		"automount_service_account_token": schema.BoolAttribute{
			MarkdownDescription: "Whether to mount the ServiceAccount token into the container, for commands that use the Kubernetes API. Defaults to `false`." + runsStep,
			Optional:            true,
		},
	}
	for name, attribute := range environmentAttributes() {
		attributes[name] = attribute
	}
	for name, attribute := range placementAttributes(runsNothing) {
		attributes[name] = attribute
	}
	for name, attribute := range podSchedulingAttributes() {
		attributes[name] = attribute
	}
	attributes["labels"] = labelsAttribute("Labels of the Job and its pods, in addition to those of the run.")
	attributes["pod_patch"] = podPatchAttribute("Strategic merge patch over the pod template, which is applied after that of the run, and in a step after that of `defaults`. See `pod_patch` of the run." + runsStep)
	attributes["annotations"] = annotationsAttribute("Annotations of the Job and its pods, in addition to those of the run, for example `{ \"sidecar.istio.io/inject\" = \"false\" }`.")
	return attributes
}

func resourcesAttribute(description string) schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: description,
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"requests": attribute.NewQuantities("Resources to reserve on the node, for example `{ cpu = \"500m\", memory = \"1Gi\" }`.", attribute.ContainerResources),
			"limits":   attribute.NewQuantities("Maximum resources. A container that uses more memory is killed (`OOMKilled`). Devices are only set here, for example `{ \"nvidia.com/gpu\" = 1 }`.", attribute.ContainerResources),
		},
	}
}

// variableName is Kubernetes' rule for the names of environment variables.
func variableName() validator.String {
	return attribute.NewStringRule("environment variable name", validation.IsRelaxedEnvVarName)
}

// validID is Kubernetes' rule for IDs of users and groups.
func validID() validator.Int64 { return int64validator.Between(0, math.MaxInt32) }

// maxDriverName is the longest name of a CSI driver.
const maxDriverName = 63

// driverProblems returns the problems of the name of a CSI driver; upper and lower case are the same.
func driverProblems(name string) []string {
	problems := validation.IsDNS1123Subdomain(strings.ToLower(name))
	if len(name) > maxDriverName {
		problems = append(problems, validation.MaxLenError(maxDriverName))
	}
	return problems
}

// environmentAttributes returns the attributes for environment variables.
func environmentAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"env": schema.MapAttribute{
			MarkdownDescription: "Environment variables. They are stored in plaintext in the Job; use `env_from_secret` or `secret_env_wo` for secrets." + runsStep,
			ElementType:         types.StringType,
			Optional:            true,
			Validators:          []validator.Map{mapvalidator.KeysAre(variableName())},
		},
		"env_from_secret": schema.MapNestedAttribute{
			MarkdownDescription: "Environment variables whose values are in Secrets in the namespace (`valueFrom.secretKeyRef`), by variable name." + runsStep,
			Optional:            true,
			Validators:          []validator.Map{mapvalidator.KeysAre(variableName())},
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"secret": schema.StringAttribute{MarkdownDescription: "Name of the Secret.", Required: true, Validators: []validator.String{attribute.DNSSubdomain()}},
				"key":    schema.StringAttribute{MarkdownDescription: "Key in the Secret.", Required: true, Validators: []validator.String{attribute.SecretKey()}},
			}},
		},
	}
}

// placementAttributes returns the attributes that select the nodes of a pod. consequence is the end of their descriptions.
func placementAttributes(consequence string) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"node_selector": schema.MapAttribute{
			MarkdownDescription: "Labels that a node must have." + consequence,
			ElementType:         types.StringType,
			Optional:            true,
			Validators:          []validator.Map{attribute.Labels()},
		},
		"tolerations": schema.ListNestedAttribute{
			MarkdownDescription: "Taints that the pod tolerates." + consequence,
			Optional:            true,
			NestedObject: schema.NestedAttributeObject{Validators: []validator.Object{tolerationRule{}}, Attributes: map[string]schema.Attribute{
				"key": schema.StringAttribute{
					MarkdownDescription: "Key of the taint. Omit it, with `operator = \"Exists\"`, to tolerate every taint.",
					Optional:            true,
					Validators:          []validator.String{attribute.NewStringRule("taint key", validation.IsQualifiedName)},
				},
				"operator": schema.StringAttribute{
					MarkdownDescription: "`Equal` or `Exists`. Defaults to `Equal`.",
					Optional:            true,
					Validators:          []validator.String{attribute.OneOf(string(corev1.TolerationOpEqual), string(corev1.TolerationOpExists))},
				},
				"value": schema.StringAttribute{
					MarkdownDescription: "Value of the taint, with `Equal`.",
					Optional:            true,
					Validators:          []validator.String{attribute.NewStringRule("taint value", validation.IsValidLabelValue)},
				},
				"effect": schema.StringAttribute{
					MarkdownDescription: "`NoSchedule`, `PreferNoSchedule` or `NoExecute`. Defaults to all effects.",
					Optional:            true,
					Validators: []validator.String{attribute.OneOf(
						string(corev1.TaintEffectNoSchedule), string(corev1.TaintEffectPreferNoSchedule), string(corev1.TaintEffectNoExecute))},
				},
				"toleration_seconds": schema.Int64Attribute{
					MarkdownDescription: "How long a running pod stays on a node after the taint is added, with `NoExecute`. Defaults to forever.",
					Optional:            true,
					Validators:          []validator.Int64{int64validator.AtLeast(0)},
				},
			}},
		},
		"affinity": schema.StringAttribute{
			// The type has four levels and some forty fields, so it is passed as Kubernetes defines it.
			MarkdownDescription: "Affinity of the pod (`spec.affinity`) as JSON or YAML, for example `jsonencode({ nodeAffinity = { … } })`. It is validated during plan." + consequence,
			Optional:            true,
			Validators:          []validator.String{affinityText{}},
		},
		"scheduler_name": schema.StringAttribute{
			MarkdownDescription: "Name of the scheduler of the pod, for example `volcano`, instead of that of Kubernetes." + consequence,
			Optional:            true,
			Validators:          []validator.String{attribute.DNSSubdomain()},
		},
		"priority_class_name": schema.StringAttribute{
			MarkdownDescription: "Name of the PriorityClass." + consequence,
			Optional:            true,
			Validators:          []validator.String{attribute.DNSSubdomain()},
		},
		"runtime_class_name": schema.StringAttribute{
			MarkdownDescription: "Name of the RuntimeClass, for example of a sandbox or of a GPU vendor's runtime." + consequence,
			Optional:            true,
			Validators:          []validator.String{attribute.DNSSubdomain()},
		},
	}
}

// securityContextAttribute is a pod's and a container's security context as one attribute: a step has one container.
func securityContextAttribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Security context of the step's pod and container. In every step `allowPrivilegeEscalation` is `false` and all capabilities but those in `capabilities` are dropped. Privileged containers are not supported." + runsStep,
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"run_as_user": schema.Int64Attribute{
				MarkdownDescription: "User ID of the command, which also owns the files at `/data`. Defaults to the user of the image.",
				Optional:            true,
				Validators:          []validator.Int64{validID()},
			},
			"run_as_group": schema.Int64Attribute{
				MarkdownDescription: "Primary group ID of the command. Requires `run_as_user`. Defaults to the group of the image.",
				Optional:            true,
				Validators:          []validator.Int64{validID()},
			},
			"fs_group": schema.Int64Attribute{
				MarkdownDescription: "Group ID that owns the files of volumes, for volume types that support ownership management.",
				Optional:            true,
				Validators:          []validator.Int64{validID()},
			},
			"supplemental_groups": schema.SetAttribute{
				MarkdownDescription: "Additional group IDs of the command.",
				ElementType:         types.Int64Type,
				Optional:            true,
				Validators:          []validator.Set{setvalidator.ValueInt64sAre(validID())},
			},
			"read_only_root_filesystem": schema.BoolAttribute{
				MarkdownDescription: "Whether the root file system is read-only. `/data` and volumes stay writable; mount an `empty_dir` volume at `/tmp` for commands that need it. Defaults to `false`.",
				Optional:            true,
			},
			"capabilities": schema.SingleNestedAttribute{
				MarkdownDescription: "Linux capabilities of the container. All others are dropped.",
				Optional:            true,
				Attributes: map[string]schema.Attribute{
					"add": schema.SetAttribute{
						MarkdownDescription: "Capabilities to add, without the prefix `CAP_`, for example `[\"NET_RAW\"]`. They only take effect for root. With `SYS_PTRACE` a command can read the run's Redis credentials.",
						ElementType:         types.StringType,
						Required:            true,
					},
				},
			},
			"seccomp_profile": schema.SingleNestedAttribute{
				MarkdownDescription: "Seccomp profile of the pod. Defaults to `{ type = \"RuntimeDefault\" }`.",
				Optional:            true,
				Attributes: map[string]schema.Attribute{
					"type": schema.StringAttribute{
						MarkdownDescription: "`RuntimeDefault` for the container runtime's profile, `Localhost` for a file on the node, or `Unconfined` for none. Namespaces that enforce the Pod Security level `baseline` or `restricted` reject pods with `Unconfined`.",
						Required:            true,
						Validators: []validator.String{attribute.OneOf(
							string(corev1.SeccompProfileTypeRuntimeDefault), string(corev1.SeccompProfileTypeLocalhost), string(corev1.SeccompProfileTypeUnconfined))},
					},
					"localhost_profile": schema.StringAttribute{
						MarkdownDescription: "Path of the profile on the node, relative to the kubelet's seccomp directory. Required if `type` is `Localhost`.",
						Optional:            true,
						Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
					},
				},
			},
		},
	}
}

func volumesAttribute() schema.Attribute {
	source := func(name string) path.Expression { return path.MatchRelative().AtParent().AtName(name) }
	return schema.MapNestedAttribute{
		MarkdownDescription: "Additional volumes, by names of your choice (DNS labels). Each has a `mount_path` and exactly one of `persistent_volume_claim`, `config_map`, `secret`, `csi` and `empty_dir`. Files in these volumes are not part of the files of the run." + runsStep,
		Optional:            true,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"mount_path": schema.StringAttribute{
				MarkdownDescription: "Absolute path in the container, not at or below `/data` or `/brane`.",
				Required:            true,
				Validators:          []validator.String{attribute.AbsolutePath()},
			},
			"sub_path": schema.StringAttribute{
				MarkdownDescription: "Directory or file in the volume to mount, instead of its root.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"read_only": schema.BoolAttribute{
				MarkdownDescription: "Whether the volume is mounted read-only. Defaults to `false`.",
				Optional:            true,
			},
			"persistent_volume_claim": schema.StringAttribute{
				MarkdownDescription: "Name of a PersistentVolumeClaim.",
				Optional:            true,
				Validators: []validator.String{
					attribute.DNSSubdomain(), stringvalidator.ExactlyOneOf(source("config_map"), source("secret"), source("csi"), source("empty_dir")),
				},
			},
			"config_map": schema.StringAttribute{
				MarkdownDescription: "Name of a ConfigMap; each key becomes a file.",
				Optional:            true,
				Validators:          []validator.String{attribute.DNSSubdomain()},
			},
			"secret": schema.StringAttribute{
				MarkdownDescription: "Name of a Secret; each key becomes a file.",
				Optional:            true,
				Validators:          []validator.String{attribute.DNSSubdomain()},
			},
			"csi": schema.SingleNestedAttribute{
				MarkdownDescription: "Ephemeral volume of a CSI driver, created and removed with the pod, for example a mount of an existing JuiceFS volume.",
				Optional:            true,
				Attributes: map[string]schema.Attribute{
					"driver": schema.StringAttribute{
						MarkdownDescription: "Name of the driver.",
						Required:            true,
						Validators:          []validator.String{attribute.NewStringRule("driver name", driverProblems)},
					},
					"volume_attributes": schema.MapAttribute{
						MarkdownDescription: "Attributes passed to the driver.",
						ElementType:         types.StringType,
						Optional:            true,
					},
					"fs_type": schema.StringAttribute{
						MarkdownDescription: "File system type. Defaults to that of the driver.",
						Optional:            true,
					},
					"node_publish_secret": schema.StringAttribute{
						MarkdownDescription: "Name of the Secret passed to the driver (`nodePublishSecretRef`).",
						Optional:            true,
						Validators:          []validator.String{attribute.DNSSubdomain()},
					},
				},
			},
			"empty_dir": schema.SingleNestedAttribute{
				MarkdownDescription: "Empty directory that is removed with the pod. Use `{}` for one on the node's disk.",
				Optional:            true,
				Attributes: map[string]schema.Attribute{
					"medium": schema.StringAttribute{
						MarkdownDescription: "`Memory` for a directory in memory, which counts toward the container's memory limit. Defaults to the node's disk.",
						Optional:            true,
						Validators:          []validator.String{attribute.OneOf(string(corev1.StorageMediumMemory))},
					},
					"size_limit": schema.StringAttribute{
						MarkdownDescription: "Maximum size. A pod that exceeds it is evicted.",
						CustomType:          attribute.QuantityType{},
						Optional:            true,
						Validators:          []validator.String{attribute.ValidByteSize},
					},
				},
			},
		}},
	}
}
