package namespace

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// Values of deletion_policy.
const (
	policyDelete = "delete"
	policyRetain = "retain"
)

func (r *namespaceResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = attribute.NewIdentitySchema("Name of the Namespace.")
}

func (r *namespaceResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Manages a namespace for Brane: a Namespace, a ServiceAccount, and a Role and RoleBinding that grant the service account what Brane needs in that namespace. " +
			"Optionally also a ResourceQuota, a LimitRange, NetworkPolicies, image pull credentials and a long-lived token.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the Namespace. " + attribute.ForcesReplacement + " The old Namespace is deleted with everything in it, unless `deletion_policy` is `retain`.",
				Required:            true,
				Validators:          []validator.String{attribute.DNSLabel()},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"cluster": attribute.NewCluster(),
			"labels": attribute.NewLabels("Labels of the Namespace. Labels set by other tools are preserved. The provider sets `" + namespace.ManagedByLabel + "`; " +
				"Pod Security levels are set with `pod_security`. Neither can be set here."),
			"annotations": attribute.NewAnnotations("Annotations of the Namespace. Annotations set by other tools are preserved. The prefix `" + namespace.AnnotationPrefix + "` is reserved for the provider."),
			"common_labels": attribute.NewLabels("Labels of all objects of this resource: the Namespace, the ServiceAccount, the Role and so on, for example those that a policy of the cluster requires. " +
				"`labels` and `service_account.labels` take precedence. The same keys as in `labels` are reserved."),
			"common_annotations": attribute.NewAnnotations("Annotations of all objects of this resource. `annotations` and `service_account.annotations` take precedence. The same prefix as in `annotations` is reserved."),
			"pod_security":       podSecuritySchema(),
			"service_account":    serviceAccountSchema(),
			"access": schema.StringAttribute{
				MarkdownDescription: "Permissions of the service account in the namespace. `submit`: " + describeRules(namespace.AccessSubmit.Rules()) + ", which is all that Brane 0.4 to 0.6 needs. " +
					"`run`: what `brane_workflow_run` needs, " + describeRules(namespace.AccessRun.Rules()) + ". The rules are not limited to objects of the provider: " +
					"with `run` the service account can overwrite and delete every ConfigMap, change and delete every Job, and delete every Pod of the namespace, but no Secret. " +
					"With both it can create Jobs, whose pods can mount every Secret of the namespace and have every service account in it (see [what these permissions mean](../guides/permissions.md#what-these-permissions-mean)). Defaults to `run` if `rules` is not set. Conflicts with `rules`.",
				Optional:      true,
				Computed:      true,
				Validators:    []validator.String{attribute.OneOf(namespace.Accesses()...), stringvalidator.ConflictsWith(path.MatchRoot("rules"))},
				PlanModifiers: []planmodifier.String{accessUnlessRules{}},
			},
			"rules":    rulesSchema(),
			"subjects": subjectsSchema(),
			"resource_quota": attribute.NewQuantities("Hard limits of a ResourceQuota for all pods and objects in the namespace, for example `{ pods = \"100\", \"requests.cpu\" = \"16\" }`. "+
				"Entries added by other tools are preserved.", attribute.QuotaResources),
			"limit_range":          limitRangeSchema(),
			"network_policy":       networkPolicySchema(),
			"registry_credentials": registryCredentialsSchema(),
			"adopt": schema.BoolAttribute{
				MarkdownDescription: "Adopt an existing Namespace when the resource is created. Without it, an existing Namespace is an error. The plan warns about the changes to the Namespace, and about Secrets in it that the service account could read. Has no effect after the creation. Defaults to `false`.",
				Optional:            true,
			},
			"deletion_protection": schema.BoolAttribute{
				MarkdownDescription: "Do not allow the resource to be destroyed or replaced until this is set to `false` and applied. Defaults to `false`.",
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
			},
			"deletion_policy": schema.StringAttribute{
				MarkdownDescription: "What happens when the resource is destroyed. `delete`: the Namespace is deleted with everything in it. " +
					"`retain`: the Namespace is kept; only the objects, labels and annotations that this resource manages are removed. Defaults to `delete`.",
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(policyDelete),
				Validators: []validator.String{attribute.OneOf(policyDelete, policyRetain)},
			},
			"uid": schema.StringAttribute{
				MarkdownDescription: "UID of the Namespace.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"drift":    attribute.NewDrift("The next apply corrects them."),
			"timeouts": attribute.NewTimeouts(ctx, namespaceTimeout),
		},
	}
	attribute.FixTypes(resp.Schema.Attributes)
}

// describeRules lists the verbs and resources of RBAC rules.
func describeRules(rules []rbacv1.PolicyRule) string {
	described := make([]string, len(rules))
	for i, rule := range rules {
		described[i] = "`" + strings.Join(rule.Verbs, "`, `") + "` on `" + strings.Join(rule.Resources, "`, `") + "`"
	}
	return strings.Join(described, "; ")
}

func podSecuritySchema() schema.Attribute {
	level := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			MarkdownDescription: description + " `privileged`, `baseline` or `restricted`. Defaults to the cluster default.",
			Optional:            true,
			Validators:          []validator.String{attribute.OneOf(namespace.PodSecurityLevels()...)},
		}
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "[Pod Security levels](https://kubernetes.io/docs/concepts/security/pod-security-standards/) of the namespace, set as labels. The Jobs of Brane 0.4 to 0.6 need `privileged`.",
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"enforce": level("Level that pods must meet; other pods are rejected:"),
			"audit":   level("Level below which pods are recorded in the audit log:"),
			"warn":    level("Level below which creating a pod returns a warning:"),
			"version": schema.StringAttribute{
				MarkdownDescription: "Kubernetes version that defines the levels, for example `v1.35`. Defaults to the version of the cluster, which changes when the cluster is upgraded.",
				Optional:            true,
				Validators:          []validator.String{attribute.KubernetesVersion()},
			},
		},
	}
}

func serviceAccountSchema() schema.Attribute {
	attributes := map[string]schema.Attribute{
		"name": schema.StringAttribute{
			MarkdownDescription: "Name of the ServiceAccount, of the Role and of the RoleBinding. Defaults to `" + defaultAccount + "`.",
			Optional:            true,
			Computed:            true,
			Default:             stringdefault.StaticString(defaultAccount),
			Validators:          []validator.String{attribute.DNSSubdomain()},
		},
		"labels":             attribute.NewLabels("Labels of the ServiceAccount, without `" + namespace.ManagedByLabel + "`, which the provider sets. Labels set by other tools are preserved."),
		"annotations":        attribute.NewAnnotations("Annotations of the ServiceAccount. Annotations set by other tools are preserved. The prefix `" + namespace.AnnotationPrefix + "` is reserved for the provider."),
		"image_pull_secrets": attribute.NewNames("Names of Secrets in the namespace with image pull credentials for pods of this service account, in addition to the one that `registry_credentials` creates."),
		"create_token_secret": schema.BoolAttribute{
			MarkdownDescription: "Create the Secret `<name>-token` with a token that does not expire, for tools that cannot renew tokens. The token is not stored in the state. " +
				"`brane_infrastructure` does not need it: it requests tokens that expire. Defaults to `false`.",
			Optional: true,
			Computed: true,
			Default:  booldefault.StaticBool(false),
		},
	}
	object := types.ObjectType{AttrTypes: map[string]attr.Type{}}
	for name, attribute := range attributes {
		object.AttrTypes[name] = attribute.GetType()
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "ServiceAccount that is granted the permissions. Its token is not mounted into pods automatically (`automountServiceAccountToken: false`).",
		Optional:            true,
		Computed:            true,
		Default:             objectdefault.StaticValue(defaultServiceAccount(object)),
		Attributes:          attributes,
	}
}

func rulesSchema() schema.Attribute {
	list := func(description string) schema.SetAttribute {
		return schema.SetAttribute{MarkdownDescription: description, ElementType: types.StringType, Optional: true}
	}
	needed := func(description string, valid validator.String) schema.SetAttribute {
		return schema.SetAttribute{
			MarkdownDescription: description, ElementType: types.StringType, Required: true,
			Validators: []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(valid)},
		}
	}
	return schema.SetNestedAttribute{
		MarkdownDescription: "RBAC rules of the service account, instead of `access`. The credentials of the provider need the same permissions, or the verb `escalate` on `roles`.",
		Optional:            true,
		Validators:          []validator.Set{setvalidator.SizeAtLeast(1)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"api_groups":     needed("API groups. `\"\"` is the core group.", apiGroup()),
			"resources":      needed("Resources, for example `jobs` or `pods/log`.", resourcePath()),
			"verbs":          needed("Verbs, for example `get`.", verb()),
			"resource_names": list("Names of the objects to which the rule applies. Defaults to all."),
		}},
	}
}

func subjectsSchema() schema.Attribute {
	return schema.SetNestedAttribute{
		MarkdownDescription: "Additional subjects of the RoleBinding, which get the same permissions as the service account.",
		Optional:            true,
		Validators:          []validator.Set{setvalidator.SizeAtLeast(1)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"kind": schema.StringAttribute{
				MarkdownDescription: "`User`, `Group` or `ServiceAccount`.", Required: true,
				Validators: []validator.String{attribute.OneOf(subjectKinds...)},
			},
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the subject, as reported by the authentication of the cluster.", Required: true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"namespace": schema.StringAttribute{MarkdownDescription: "Namespace of the subject. Required for `ServiceAccount`, not allowed for other kinds.", Optional: true, Validators: []validator.String{attribute.DNSLabel()}},
		}},
	}
}

func limitRangeSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "LimitRange for the containers of the namespace. Kubernetes fills missing values: `default` falls back to `max`; `default_request` falls back to `default`, then `min`.",
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"default":         attribute.NewQuantities("Limits of containers that set none.", attribute.ContainerResources),
			"default_request": attribute.NewQuantities("Requests of containers that set none.", attribute.ContainerResources),
			"max":             attribute.NewQuantities("Maximum limits of a container.", attribute.ContainerResources),
			"min":             attribute.NewQuantities("Minimum requests of a container.", attribute.ContainerResources),
		},
	}
}

func networkPolicySchema() schema.Attribute {
	traffic := func(description string) schema.MapNestedAttribute {
		return schema.MapNestedAttribute{
			MarkdownDescription: description,
			Optional:            true,
			Validators:          []validator.Map{mapvalidator.SizeAtLeast(1), mapvalidator.KeysAre(attribute.DNSLabel())},
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"cidrs": schema.SetAttribute{
					MarkdownDescription: "Address ranges in CIDR notation, for example `198.51.100.10/32`.", ElementType: types.StringType, Required: true,
					Validators: []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(attribute.CIDR())},
				},
				"ports": schema.SetAttribute{
					MarkdownDescription: "Ports. Defaults to all ports.", ElementType: types.Int64Type, Optional: true,
					Validators: []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueInt64sAre(int64validator.Between(1, 65535))},
				},
				"protocols": schema.SetAttribute{
					MarkdownDescription: "`TCP`, `UDP` or `SCTP`. Defaults to `TCP`.", ElementType: types.StringType, Optional: true, Computed: true,
					Default:    setdefault.StaticValue(types.SetValueMust(types.StringType, []attr.Value{types.StringValue("TCP")})),
					Validators: []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(attribute.OneOf("TCP", "UDP", "SCTP"))},
				},
			}},
		}
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "NetworkPolicies that deny all traffic of the pods in the namespace, except the entries below. Pods of steps need to reach Redis, the pods of a run with `wait = false` also the API server, " +
			"and Jobs of Brane the callback service. Nodes pull images, so that registries need no entry. If Brane's Jobs read files (`mount_dfs`), they also need the object store of JuiceFS. Each entry is a separate NetworkPolicy. The network plugin of the cluster must support NetworkPolicies.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"dns": schema.BoolAttribute{
				MarkdownDescription: "Allow DNS: port 53 of the pods labelled `k8s-app=kube-dns` or `k8s-app=node-local-dns` in `kube-system` and of `169.254.20.10` (NodeLocal DNSCache), " +
					"and ports 53 and 5353 of the DNS pods in `openshift-dns`. If the DNS servers are elsewhere, add them to `egress`. Defaults to `true`.",
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(true),
			},
			"egress":  traffic("Allowed destinations, by a name of your choice such as `redis`, `callback` or `api-server`."),
			"ingress": traffic("Allowed sources, by a name of your choice."),
		},
	}
}

func registryCredentialsSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "Image pull credentials by the `host[:port]` of the registry, as in the names of images (`docker.io` for Docker Hub). They are stored in the Secret `brane-registries`, which is an image pull secret of the service account and of the service account `default`, " +
			"as which the Jobs of Brane and steps of `brane_workflow_run` without `service_account_name` run. Pods of other service accounts use it with `image_pull_secrets = [\"brane-registries\"]`.",
		Optional:   true,
		Validators: []validator.Map{mapvalidator.SizeAtLeast(1), attribute.RegistryHosts()},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"username": schema.StringAttribute{MarkdownDescription: "User name.", Required: true},
			"password_wo": schema.StringAttribute{
				MarkdownDescription: "Password. Written to the Secret, not stored in the state.", Optional: true, Sensitive: true, WriteOnly: true,
			},
			"password_wo_version": schema.Int64Attribute{
				MarkdownDescription: "Version of `password_wo`. Increase it to update the password.", Optional: true,
			},
		}},
	}
}
