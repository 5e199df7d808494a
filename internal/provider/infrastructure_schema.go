package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/boolvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func (r *infrastructureResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identitySchema("Name of the location.")
}

func (r *infrastructureResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Registers a cluster with a Brane instance (0.4 to 0.6), in the files that the instance reads: a location in `infra.yml`, and in `secrets.yml` a kubeconfig. " +
			"Other locations, unknown keys, comments and order in these files stay as they are. " +
			"By default the provider makes the kubeconfig itself, with a token of a service account; it is renewed when less than a third of its life is left, and kept nowhere but in `secrets.yml`. " +
			"What Brane would find out too late, or never, is checked before anything is written.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the location, as BraneScript has it in `on \"compute\" { … }`.",
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"cluster": clusterAttribute(),
			"address": schema.StringAttribute{
				MarkdownDescription: "`host:port` of the API server as the Brane instance reaches it. Default: the server of the given kubeconfig, or else the address of the provider's own connection.",
				Optional:            true,
				Computed:            true,
			},
			"namespace": schema.StringAttribute{
				MarkdownDescription: "Namespace in which Brane makes its Jobs, and in which the service account is.",
				Required:            true,
				Validators:          []validator.String{dnsLabel()},
			},
			"registry": schema.StringAttribute{
				MarkdownDescription: "`host:port` of the registry of the Brane instance as the cluster's nodes reach it, without a scheme.",
				Required:            true,
			},
			"callback_to": schema.StringAttribute{
				MarkdownDescription: "URL of the instance's callback service (brane-clb) as pods reach it, for example `http://198.51.100.10:50052`.",
				Required:            true,
			},
			"proxy_address": schema.StringAttribute{
				MarkdownDescription: "Address of the proxy through which containers reach each other, if any.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"mount_dfs": schema.StringAttribute{
				MarkdownDescription: "URL of the Redis of the instance's file system as pods reach it, for example `redis://198.51.100.10`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"secret_name": schema.StringAttribute{
				MarkdownDescription: "Name of the kubeconfig in `secrets.yml`. Default: `name`.",
				Optional:            true,
				Computed:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"credentials": schema.SingleNestedAttribute{
				MarkdownDescription: "The credential that is registered: either `service_account` or `kubeconfig_wo`.",
				Required:            true,
				Attributes:          credentialsAttributes(),
			},
			"verify_credentials": schema.BoolAttribute{
				MarkdownDescription: "Try the credential against the API server, before it is registered and whenever Terraform looks. " +
					"Set it to `false` where `address` cannot be reached from this machine. Default: `true`.",
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(true),
			},
			"expires_at": schema.StringAttribute{
				MarkdownDescription: "When the registered credential expires (RFC 3339); null where it does not.",
				Computed:            true,
			},
			"fingerprint": schema.StringAttribute{
				MarkdownDescription: "Salted digest of the registered kubeconfig, by which a change is noticed.",
				Computed:            true,
			},
			"token_secret": schema.StringAttribute{
				MarkdownDescription: "With `credentials.long_lived`: name of the Secret in `namespace` in which the cluster keeps the token.",
				Computed:            true,
			},
			"drift":    driftAttribute(),
			"timeouts": timeoutsAttribute(ctx, infrastructureTimeout),
		},
	}
}

func credentialsAttributes() map[string]schema.Attribute {
	sibling := func(name string) path.Expression { return path.MatchRelative().AtParent().AtName(name) }
	return map[string]schema.Attribute{
		"service_account": schema.StringAttribute{
			MarkdownDescription: "Service account in `namespace` for which a token is made.",
			Optional:            true,
			Validators: []validator.String{
				dnsLabel(), stringvalidator.ExactlyOneOf(sibling("service_account"), sibling("kubeconfig_wo")),
			},
		},
		"lifetime": schema.StringAttribute{
			MarkdownDescription: "How long a token of the service account is asked to be good for, for example `720h`. The API server may grant less. Default: `2160h` (90 days).",
			CustomType:          timetypes.GoDurationType{},
			Optional:            true,
			Validators: []validator.String{
				durationAtLeast(10*time.Minute, "ten minutes"), // the API server's own lower bound
				stringvalidator.AlsoRequires(sibling("service_account")), stringvalidator.ConflictsWith(sibling("long_lived")),
			},
		},
		"renew_before": schema.StringAttribute{
			MarkdownDescription: "How long before it expires the token is replaced by a new one, for example `168h`. Must be shorter than `lifetime`. " +
				"Defaults to a third of the lifetime that the API server granted, also if that is shorter than `renew_before`. Changing it alone does not issue a new token.",
			CustomType: timetypes.GoDurationType{},
			Optional:   true,
			Validators: []validator.String{
				durationAtLeast(time.Minute, "one minute"),
				stringvalidator.AlsoRequires(sibling("service_account")), stringvalidator.ConflictsWith(sibling("long_lived")),
			},
		},
		"long_lived": schema.BoolAttribute{
			MarkdownDescription: "Register a token that never expires, which the cluster keeps in a Secret (`token_secret`). " +
				"For instances that nobody plans for in years; a token that is renewed is safer. The token is revoked when this resource is destroyed or changes it.",
			Optional:   true,
			Validators: []validator.Bool{boolvalidator.AlsoRequires(sibling("service_account"))},
		},
		"rotation_triggers": schema.MapAttribute{
			MarkdownDescription: "Any values; when one of them changes, the service account gets a new token. For example `{ month = formatdate(\"YYYY-MM\", plantimestamp()) }`.",
			ElementType:         types.StringType,
			Optional:            true,
			Validators:          []validator.Map{mapvalidator.AlsoRequires(sibling("service_account"))},
		},
		"kubeconfig_wo": schema.StringAttribute{
			MarkdownDescription: "A kubeconfig of your own, which is not kept in the state (write-only: Terraform 1.11, OpenTofu 1.11). It must need nothing beside itself: no files, no plugin to execute.",
			Optional:            true,
			WriteOnly:           true,
			Validators:          []validator.String{stringvalidator.AlsoRequires(sibling("kubeconfig_wo_version"))},
		},
		"kubeconfig_wo_version": schema.Int64Attribute{
			MarkdownDescription: "Version of `kubeconfig_wo`: Terraform does not see that a write-only value has changed, so raise this when it has.",
			Optional:            true,
			Validators:          []validator.Int64{int64validator.AlsoRequires(sibling("kubeconfig_wo"))},
		},
	}
}
