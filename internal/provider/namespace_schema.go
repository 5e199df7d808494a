package provider

import (
	"context"

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

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
)

// What becomes of the namespace when the resource is destroyed.
const (
	policyDelete = "delete"
	policyRetain = "retain"
)

func (r *namespaceResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identitySchema("Name of the Namespace.")
}

func (r *namespaceResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The namespace in which Brane runs: a Namespace, a service account, and a Role and RoleBinding that let the account do there what Brane needs and nothing more. " +
			"Where asked also a quota, limits, network policies, image pull credentials and a long-lived token. " +
			"What others add, be it labels, annotations, finalizers or further limits of a quota, is left alone. An object that was deleted or edited shows in `drift` by kind and name, " +
			"and is repaired in place; the Namespace is replaced only where its name changes. " +
			"`deletion_protection`, `deletion_policy` and `timeouts` are kept in annotations of the Namespace (`terraform-provider-brane/…`), so that a plan after an import is empty.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the Namespace. Changing it makes a new namespace and deletes the old one with everything in it.",
				Required:            true,
				Validators:          []validator.String{dnsLabel()},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"cluster":         clusterAttribute(),
			"labels":          metadataAttribute("Labels of the Namespace, beside those that others set."),
			"annotations":     metadataAttribute("Annotations of the Namespace, beside those that others set."),
			"pod_security":    podSecuritySchema(),
			"service_account": serviceAccountSchema(),
			"access": schema.StringAttribute{
				MarkdownDescription: "What the service account may do in the namespace: `submit` (create Jobs, all that Brane 0.4 to 0.6 asks) or `run` " +
					"(what `brane_workflow_run` needs as well: follow and delete Jobs, read Pods, logs and events, keep the run's own ConfigMap and Secret). Default: `run`, unless there are `rules`.",
				Optional:      true,
				Computed:      true,
				Validators:    []validator.String{stringvalidator.OneOf(namespace.Accesses()...), stringvalidator.ConflictsWith(path.MatchRoot("rules"))},
				PlanModifiers: []planmodifier.String{accessUnlessRules{}},
			},
			"rules":    rulesSchema(),
			"subjects": subjectsSchema(),
			"resource_quota": quantities("What all pods and objects in the namespace may take together, for example `{ pods = \"100\", \"requests.cpu\" = \"16\" }` (a ResourceQuota's `hard`). " +
				"Limits that others add to it are left alone."),
			"limit_range":          limitRangeSchema(),
			"network_policy":       networkPolicySchema(),
			"registry_credentials": registryCredentialsSchema(),
			"adopt": schema.BoolAttribute{
				MarkdownDescription: "Take over a Namespace that exists, instead of refusing to. The plan warns of what would change in it. It counts only while the resource is created, and is not stored. Default: `false`.",
				Optional:            true,
				WriteOnly:           true,
			},
			"deletion_protection": schema.BoolAttribute{
				MarkdownDescription: "Refuse to destroy the resource, and to replace it, until this is `false` and applied. Default: `false`.",
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(false),
			},
			"deletion_policy": schema.StringAttribute{
				MarkdownDescription: "What destroying does: `delete` the Namespace with everything in it, or `retain` it: the objects that this resource manages are removed, its labels and annotations taken off, " +
					"and the Namespace stays with what others have in it. Default: `delete`.",
				Optional:   true,
				Computed:   true,
				Default:    stringdefault.StaticString(policyDelete),
				Validators: []validator.String{stringvalidator.OneOf(policyDelete, policyRetain)},
			},
			"uid": schema.StringAttribute{
				MarkdownDescription: "UID that the cluster gave the Namespace.",
				Computed:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"drift":    driftAttribute(),
			"timeouts": timeoutsAttribute(ctx, namespaceTimeout),
		},
	}
}

func metadataAttribute(description string) schema.MapAttribute {
	return schema.MapAttribute{MarkdownDescription: description, ElementType: types.StringType, Optional: true}
}

func podSecuritySchema() schema.Attribute {
	level := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			MarkdownDescription: description + " `privileged`, `baseline` or `restricted`. Default: what the cluster has as its own.",
			Optional:            true,
			Validators:          []validator.String{stringvalidator.OneOf(namespace.PodSecurityLevels()...)},
		}
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "[Pod Security levels](https://kubernetes.io/docs/concepts/security/pod-security-standards/) of the namespace, set as labels.",
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"enforce": level("Pods that are not of this level are refused:"),
			"audit":   level("Pods that are not of this level are noted in the audit log:"),
			"warn":    level("Whoever makes pods that are not of this level is warned:"),
			"version": schema.StringAttribute{
				MarkdownDescription: "Kubernetes version whose definition of the levels counts, for example `v1.35`. Default: the cluster's own, which an upgrade of the cluster changes.",
				Optional:            true,
				Validators:          []validator.String{kubernetesVersion()},
			},
		},
	}
}

func serviceAccountSchema() schema.Attribute {
	attributes := map[string]schema.Attribute{
		"name": schema.StringAttribute{
			MarkdownDescription: "Its name, which the Role and the RoleBinding bear too. Default: `" + defaultAccount + "`.",
			Optional:            true,
			Computed:            true,
			Default:             stringdefault.StaticString(defaultAccount),
			Validators:          []validator.String{dnsLabel()},
		},
		"labels":      metadataAttribute("Its labels, beside those that others set."),
		"annotations": metadataAttribute("Its annotations, beside those that others set."),
		"image_pull_secrets": schema.SetAttribute{
			MarkdownDescription: "Names of Secrets in the namespace with which pods of this account pull images, beside the one that `registry_credentials` creates.",
			ElementType:         types.StringType,
			Optional:            true,
		},
		"create_token_secret": schema.BoolAttribute{
			MarkdownDescription: "Keep a token that does not expire in the Secret `<name>-token`, for tools that cannot renew one. The token itself is not in the state. " +
				"`brane_infrastructure` does not need it: it mints tokens that expire. Default: `false`.",
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
		MarkdownDescription: "The service account to which the rights are given. No pod gets its token by itself (`automountServiceAccountToken: false`).",
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
	needed := func(description string) schema.SetAttribute {
		return schema.SetAttribute{
			MarkdownDescription: description, ElementType: types.StringType, Required: true, Validators: []validator.Set{setvalidator.SizeAtLeast(1)},
		}
	}
	return schema.SetNestedAttribute{
		MarkdownDescription: "What the service account may do, instead of `access`. The provider's own account must have these rights too, or the verb `escalate` on Roles.",
		Optional:            true,
		Validators:          []validator.Set{setvalidator.SizeAtLeast(1)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"api_groups":     needed("API groups; `\"\"` is the core group."),
			"resources":      needed("Resources, for example `jobs` or `pods/log`."),
			"verbs":          needed("Verbs, for example `get`."),
			"resource_names": list("Names of the objects for which the rule holds. Default: all."),
		}},
	}
}

func subjectsSchema() schema.Attribute {
	return schema.SetNestedAttribute{
		MarkdownDescription: "Who else has the service account's rights in the namespace.",
		Optional:            true,
		Validators:          []validator.Set{setvalidator.SizeAtLeast(1)},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"kind": schema.StringAttribute{
				MarkdownDescription: "`User`, `Group` or `ServiceAccount`.", Required: true,
				Validators: []validator.String{stringvalidator.OneOf(subjectKinds...)},
			},
			"name": schema.StringAttribute{
				MarkdownDescription: "Name, as the cluster's authentication tells it.", Required: true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"namespace": schema.StringAttribute{MarkdownDescription: "Namespace of a `ServiceAccount`; the others have none.", Optional: true, Validators: []validator.String{dnsLabel()}},
		}},
	}
}

func limitRangeSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "What a single container may take (a LimitRange). For a resource that `default` does not name, `max` counts as the default; for one that `default_request` does not name, " +
			"`default` does, and then `min`.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"default":         quantities("Limits of a container that names none."),
			"default_request": quantities("Requests of a container that names none."),
			"max":             quantities("The most that a container may ask."),
			"min":             quantities("The least that a container must ask."),
		},
	}
}

func networkPolicySchema() schema.Attribute {
	traffic := func(description string) schema.MapNestedAttribute {
		return schema.MapNestedAttribute{
			MarkdownDescription: description,
			Optional:            true,
			Validators:          []validator.Map{mapvalidator.SizeAtLeast(1), mapvalidator.KeysAre(dnsLabel())},
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"cidrs": schema.SetAttribute{
					MarkdownDescription: "Addresses, for example `198.51.100.10/32`.", ElementType: types.StringType, Required: true,
					Validators: []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(cidr())},
				},
				"ports": schema.SetAttribute{
					MarkdownDescription: "Ports. Default: all.", ElementType: types.Int64Type, Optional: true,
					Validators: []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueInt64sAre(int64validator.Between(1, 65535))},
				},
				"protocols": schema.SetAttribute{
					MarkdownDescription: "`TCP`, `UDP` or `SCTP`. Default: `TCP`.", ElementType: types.StringType, Optional: true, Computed: true,
					Default:    setdefault.StaticValue(types.SetValueMust(types.StringType, []attr.Value{types.StringValue("TCP")})),
					Validators: []validator.Set{setvalidator.SizeAtLeast(1), setvalidator.ValueStringsAre(stringvalidator.OneOf("TCP", "UDP", "SCTP"))},
				},
			}},
		}
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Deny all traffic of the namespace's pods but what is named here. A step needs to reach Redis, and under Brane the control plane's callback; images are pulled by the node, " +
			"not by the pod, so a registry is not needed. Each entry is a NetworkPolicy of its own. Whether policies are enforced depends on the cluster's network plugin.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"dns": schema.BoolAttribute{
				MarkdownDescription: "Let pods reach the cluster's DNS: port 53 of the pods labelled `k8s-app=kube-dns` in `kube-system`. Where DNS is elsewhere, name it in `egress`. Default: `true`.",
				Optional:            true,
				Computed:            true,
				Default:             booldefault.StaticBool(true),
			},
			"egress":  traffic("What pods may reach, by a name that says what for, for example `redis`, `callback` or `api-server`."),
			"ingress": traffic("Who may reach pods, by a name that says what for."),
		},
	}
}

func registryCredentialsSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "Credentials with which the account's pods pull images, by the registry's `host[:port]`. They are in the Secret `brane-registries`, which the service account names.",
		Optional:            true,
		Validators:          []validator.Map{mapvalidator.SizeAtLeast(1), mapvalidator.KeysAre(stringvalidator.LengthAtLeast(1))},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"username": schema.StringAttribute{MarkdownDescription: "User.", Required: true},
			"password_wo": schema.StringAttribute{
				MarkdownDescription: "Password. It is written to the Secret only, never to the state.", Optional: true, Sensitive: true, WriteOnly: true,
			},
			"password_wo_version": schema.Int64Attribute{
				MarkdownDescription: "Raise it whenever the password changes: then the new one is sent.", Optional: true,
			},
		}},
	}
}
