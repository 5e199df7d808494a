package provider

import (
	"context"
	"fmt"
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
	"sigs.k8s.io/yaml"
)

// podAttributes are what a step may say of its container and pod, and what `defaults` may say for all steps.
func podAttributes() map[string]schema.Attribute {
	attributes := map[string]schema.Attribute{
		"image": schema.StringAttribute{
			MarkdownDescription: "The container's image. The cluster's nodes pull it.",
			Optional:            true,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"working_dir": schema.StringAttribute{
			MarkdownDescription: "Folder in which the program starts, an absolute path. Default: the image's.",
			Optional:            true,
			Validators:          []validator.String{absolutePath()},
		},
		"timeout": schema.StringAttribute{
			MarkdownDescription: "How long the step may take, its start included, for example `10m`. Default: as long as the run.",
			CustomType:          timetypes.GoDurationType{},
			Optional:            true,
			Validators:          []validator.String{durationAtLeast(time.Second, "a second")},
		},
		"retries": schema.Int64Attribute{
			MarkdownDescription: "How often a container that has failed is started anew, in a new pod, after 10 s, 20 s, 40 s and so on up to 10 minutes: pauses of Kubernetes' own, which cannot be set. A pod that was stopped from outside (deleted, drained or preempted) is replaced and does not count. Default: 0.",
			Optional:            true,
			Validators:          []validator.Int64{int64validator.Between(0, 100)},
		},
		"resources": schema.SingleNestedAttribute{
			MarkdownDescription: "What the container asks for and what it may take at most, by the names of resources: `cpu`, `memory`, `ephemeral-storage`, `nvidia.com/gpu` and whatever else the nodes offer.",
			Optional:            true,
			Attributes: map[string]schema.Attribute{
				"requests": quantities("What a node must have free, for example `{ cpu = \"500m\", memory = \"1Gi\" }`."),
				"limits":   quantities("What it may take at most. A program that takes more memory is ended (`OOMKilled`). Devices are named here alone, for example `{ \"nvidia.com/gpu\" = 1 }`."),
			},
		},
		"security_context":   securityContextAttribute(),
		"volumes":            volumesAttribute(),
		"image_pull_secrets": names("Names of Secrets of the namespace with which the images are pulled. Default: those of the service account."),
		"service_account_name": schema.StringAttribute{
			MarkdownDescription: "Name of the service account as which the pod runs. Default: the namespace's `default`.",
			Optional:            true,
			Validators:          []validator.String{dnsSubdomain()},
		},
		"automount_service_account_token": schema.BoolAttribute{
			MarkdownDescription: "Whether to mount the ServiceAccount token into the container, for commands that use the Kubernetes API. Defaults to `false`.",
			Optional:            true,
		},
	}
	for name, attribute := range environmentAttributes() {
		attributes[name] = attribute
	}
	for name, attribute := range placementAttributes() {
		attributes[name] = attribute
	}
	return attributes
}

// variableName is Kubernetes' rule for the names of environment variables.
func variableName() validator.String {
	return textRule{description: "a name of an environment variable", problems: validation.IsRelaxedEnvVarName}
}

// environmentAttributes are the ways to set environment variables that steps and `defaults` have in common.
func environmentAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"env": schema.MapAttribute{
			MarkdownDescription: "Environment variables. They stand in the Job for everybody who may read it: they are no place for secrets.",
			ElementType:         types.StringType,
			Optional:            true,
			Validators:          []validator.Map{mapvalidator.KeysAre(variableName())},
		},
		"env_from_secret": schema.MapNestedAttribute{
			MarkdownDescription: "Environment variables whose values are in Secrets of the namespace.",
			Optional:            true,
			Validators:          []validator.Map{mapvalidator.KeysAre(variableName())},
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"secret": schema.StringAttribute{MarkdownDescription: "Name of the Secret.", Required: true, Validators: []validator.String{dnsSubdomain()}},
				"key":    schema.StringAttribute{MarkdownDescription: "Key of the Secret.", Required: true, Validators: []validator.String{secretKey()}},
			}},
		},
	}
}

// placementAttributes say on which nodes a pod may run.
func placementAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"node_selector": schema.MapAttribute{
			MarkdownDescription: "Labels that a node must have.",
			ElementType:         types.StringType,
			Optional:            true,
			Validators: []validator.Map{
				mapvalidator.KeysAre(textRule{description: "a key of a label", problems: validation.IsQualifiedName}),
				mapvalidator.ValueStringsAre(textRule{description: "a value of a label", problems: validation.IsValidLabelValue}),
			},
		},
		"tolerations": schema.ListNestedAttribute{
			MarkdownDescription: "Taints of nodes that do not keep the pod away.",
			Optional:            true,
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"key": schema.StringAttribute{
					MarkdownDescription: "Key of the taint. Left out, with `operator = \"Exists\"`: every taint.",
					Optional:            true,
					Validators:          []validator.String{textRule{description: "a key of a taint", problems: validation.IsQualifiedName}},
				},
				"operator": schema.StringAttribute{
					MarkdownDescription: "`Equal` (default) or `Exists`.",
					Optional:            true,
					Validators:          []validator.String{stringvalidator.OneOf(string(corev1.TolerationOpEqual), string(corev1.TolerationOpExists))},
				},
				"value": schema.StringAttribute{
					MarkdownDescription: "Value of the taint, with `Equal`.",
					Optional:            true,
					Validators:          []validator.String{textRule{description: "a value of a taint", problems: validation.IsValidLabelValue}},
				},
				"effect": schema.StringAttribute{
					MarkdownDescription: "`NoSchedule`, `PreferNoSchedule` or `NoExecute`. Default: all of them.",
					Optional:            true,
					Validators: []validator.String{stringvalidator.OneOf(
						string(corev1.TaintEffectNoSchedule), string(corev1.TaintEffectPreferNoSchedule), string(corev1.TaintEffectNoExecute))},
				},
				"toleration_seconds": schema.Int64Attribute{
					MarkdownDescription: "How long a pod that runs already stays on a node that gets the taint, with `NoExecute`. Default: for ever.",
					Optional:            true,
					Validators:          []validator.Int64{int64validator.AtLeast(0)},
				},
			}},
		},
		"affinity": schema.StringAttribute{
			// The type has four levels and some forty fields of its own. Whoever needs it has it in Kubernetes' words.
			MarkdownDescription: "Further rules for the choice of a node, as in a pod's `spec.affinity`: JSON or YAML, for example `jsonencode({ nodeAffinity = { … } })`. It is checked when Terraform plans.",
			Optional:            true,
			Validators:          []validator.String{affinityText{}},
		},
		"priority_class_name": schema.StringAttribute{
			MarkdownDescription: "Name of the PriorityClass.",
			Optional:            true,
			Validators:          []validator.String{dnsSubdomain()},
		},
		"runtime_class_name": schema.StringAttribute{
			MarkdownDescription: "Name of the RuntimeClass, for example of a sandbox or of a GPU vendor's runtime.",
			Optional:            true,
			Validators:          []validator.String{dnsSubdomain()},
		},
	}
}

// securityContextAttribute is a pod's and a container's security context as one attribute: a step has one container.
func securityContextAttribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Security context of the step's pod and container. In every step `allowPrivilegeEscalation` is `false` and all capabilities but those in `capabilities` are dropped. Privileged containers are not supported.",
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"run_as_user": schema.Int64Attribute{
				MarkdownDescription: "User ID of the command, which also owns the files at `/data`. With `init_container` (see `agent_injection`), required for images that do not run as root. Defaults to the user of the image.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.AtLeast(0)},
			},
			"run_as_group": schema.Int64Attribute{
				MarkdownDescription: "Primary group ID of the command. Requires `run_as_user`. Defaults to the group of the image.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.AtLeast(0)},
			},
			"fs_group": schema.Int64Attribute{
				MarkdownDescription: "Group ID that owns the files of volumes, for volume types that support ownership management.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.AtLeast(0)},
			},
			"supplemental_groups": schema.SetAttribute{
				MarkdownDescription: "Additional group IDs of the command.",
				ElementType:         types.Int64Type,
				Optional:            true,
				Validators:          []validator.Set{setvalidator.ValueInt64sAre(int64validator.AtLeast(0))},
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
						Validators: []validator.String{stringvalidator.OneOf(
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
		MarkdownDescription: "Volumes beside the run's own files, by names of your choice (DNS labels). Each has a `mount_path` and exactly one of `persistent_volume_claim`, `config_map`, `secret`, `csi` and `empty_dir`. What a step leaves there is no part of the run's files.",
		Optional:            true,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"mount_path": schema.StringAttribute{
				MarkdownDescription: "Where the container sees it: an absolute path, not at or below `/data` and `/brane`.",
				Required:            true,
				Validators:          []validator.String{absolutePath()},
			},
			"sub_path": schema.StringAttribute{
				MarkdownDescription: "Folder or file of the volume that is mounted, in the place of all of it.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"read_only": schema.BoolAttribute{
				MarkdownDescription: "Whether the program may only read. Default: `false`.",
				Optional:            true,
			},
			"persistent_volume_claim": schema.StringAttribute{
				MarkdownDescription: "Name of a PersistentVolumeClaim.",
				Optional:            true,
				Validators: []validator.String{
					dnsSubdomain(), stringvalidator.ExactlyOneOf(source("config_map"), source("secret"), source("csi"), source("empty_dir")),
				},
			},
			"config_map": schema.StringAttribute{
				MarkdownDescription: "Name of a ConfigMap; each of its keys is a file.",
				Optional:            true,
				Validators:          []validator.String{dnsSubdomain()},
			},
			"secret": schema.StringAttribute{
				MarkdownDescription: "Name of a Secret; each of its keys is a file.",
				Optional:            true,
				Validators:          []validator.String{dnsSubdomain()},
			},
			"csi": schema.SingleNestedAttribute{
				MarkdownDescription: "A volume that a CSI driver makes for the pod and removes with it, for example a mount of an existing JuiceFS volume.",
				Optional:            true,
				Attributes: map[string]schema.Attribute{
					"driver": schema.StringAttribute{
						MarkdownDescription: "Name of the driver.",
						Required:            true,
						Validators:          []validator.String{dnsSubdomain()},
					},
					"volume_attributes": schema.MapAttribute{
						MarkdownDescription: "What the driver wants to know.",
						ElementType:         types.StringType,
						Optional:            true,
					},
					"fs_type": schema.StringAttribute{
						MarkdownDescription: "File system. Default: the driver's.",
						Optional:            true,
					},
					"node_publish_secret": schema.StringAttribute{
						MarkdownDescription: "Name of the Secret that the driver gets.",
						Optional:            true,
						Validators:          []validator.String{dnsSubdomain()},
					},
				},
			},
			"empty_dir": schema.SingleNestedAttribute{
				MarkdownDescription: "An empty folder that goes with the pod; `{}` for one on the node's disk.",
				Optional:            true,
				Attributes: map[string]schema.Attribute{
					"medium": schema.StringAttribute{
						MarkdownDescription: "`Memory` for one in memory, which counts as the container's. Default: the node's disk.",
						Optional:            true,
						Validators:          []validator.String{stringvalidator.OneOf(string(corev1.StorageMediumMemory))},
					},
					"size_limit": schema.StringAttribute{
						MarkdownDescription: "Its size at most; a pod that leaves more there is evicted.",
						CustomType:          quantityType{},
						Optional:            true,
						Validators:          []validator.String{quantityRule},
					},
				},
			},
		}},
	}
}

// names is a set of names of objects.
func names(description string) schema.Attribute {
	return schema.SetAttribute{
		MarkdownDescription: description,
		ElementType:         types.StringType,
		Optional:            true,
		Validators:          []validator.Set{setvalidator.ValueStringsAre(dnsSubdomain())},
	}
}

// dnsSubdomain is Kubernetes' rule for the names of most objects.
func dnsSubdomain() validator.String {
	return textRule{description: "a name of an object", problems: validation.IsDNS1123Subdomain}
}

func secretKey() validator.String {
	return textRule{description: "a key of a Secret", problems: validation.IsConfigMapKey}
}

// absolutePath is a path in a container, which runs Linux whatever Terraform runs on.
func absolutePath() validator.String {
	return textRule{description: "a folder of the container", problems: func(name string) []string {
		if !strings.HasPrefix(name, "/") || strings.ContainsRune(name, 0) {
			return []string{"must be an absolute path"}
		}
		return nil
	}}
}

// affinityText is an affinity in Kubernetes' own words.
type affinityText struct{}

func (affinityText) Description(context.Context) string {
	return "the affinity of a pod, as JSON or YAML"
}
func (v affinityText) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (affinityText) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := parseAffinity(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Value is not an affinity", fmt.Sprintf("Reading it as a pod's spec.affinity: %s.", err))
	}
}

// parseAffinity takes no fields that Kubernetes does not know: the API server would drop them silently.
func parseAffinity(text string) (*corev1.Affinity, error) {
	affinity := &corev1.Affinity{}
	if err := yaml.UnmarshalStrict([]byte(text), affinity); err != nil {
		return nil, err
	}
	if *affinity == (corev1.Affinity{}) {
		return nil, fmt.Errorf("it names none of nodeAffinity, podAffinity and podAntiAffinity")
	}
	return affinity, nil
}
