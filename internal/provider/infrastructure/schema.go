package infrastructure

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

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

func (r *infrastructureResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = attribute.NewIdentitySchema("Name of the location.")
}

func (r *infrastructureResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Registers a namespace of a cluster with a Brane instance (0.4 to 0.6): a location in `infra.yml` and a kubeconfig in `secrets.yml`. " +
			"Other locations, unknown keys, comments and the order of these files are preserved. " +
			"All values are validated before the files are written; Brane itself would report most of these errors only when a task runs.\n\n" +
			"With `credentials.service_account` the kubeconfig contains a token that the provider requests. It is renewed by the first apply in the last third of its lifetime (see `renew_before`) " +
			"and stored only in `secrets.yml`. Apply more often than that, or the token expires.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the location, to which BraneScript refers in `on \"compute\" { … }`. " + attribute.ForcesReplacement,
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"cluster": attribute.NewCluster(),
			"address": schema.StringAttribute{
				MarkdownDescription: "`host:port` of the API server to which the Brane instance connects. Defaults to the server of `kubeconfig_wo`, or to the API server to which the provider connects. If its URL has a path, as behind Rancher, the registered kubeconfig contains the path.",
				Optional:            true,
				Computed:            true,
			},
			"namespace": schema.StringAttribute{
				MarkdownDescription: "Namespace of Brane's Jobs and of the service account.",
				Required:            true,
				Validators:          []validator.String{attribute.DNSLabel()},
			},
			"registry": schema.StringAttribute{
				MarkdownDescription: "`host:port` of the registry of the Brane instance to which the nodes of the cluster connect, without a scheme. The `infra.yml` key of the same name.",
				Required:            true,
			},
			"callback_to": schema.StringAttribute{
				MarkdownDescription: "URL of the callback service (brane-clb) to which pods connect, for example `http://198.51.100.10:50052`. The scheme must be `http`, because Brane's client does not support TLS. The `infra.yml` key of the same name.",
				Required:            true,
			},
			"proxy_address": schema.StringAttribute{
				MarkdownDescription: "`host:port` of the proxy through which containers connect to each other, without a scheme. The `infra.yml` key of the same name.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"mount_dfs": schema.StringAttribute{
				MarkdownDescription: "URL of the Redis of Brane's file system to which pods connect, `redis://[user][:password]@host[:port][/database]`, for example `redis://198.51.100.10`. " +
					"The `infra.yml` key of the same name. Sensitive, because it can contain a password, which is stored in the state and in `infra.yml`. " +
					"Pods of `brane_workflow_run` use this Redis unless `redis.pod_url` is set in the provider block.",
				Optional:   true,
				Sensitive:  true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"secret_name": schema.StringAttribute{
				MarkdownDescription: "Name of the kubeconfig in `secrets.yml`. Defaults to the value of `name`.",
				Optional:            true,
				Computed:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"credentials": schema.SingleNestedAttribute{
				MarkdownDescription: "Credentials to register. Set either `service_account` or `kubeconfig_wo`. Defaults to a token of the service account `" + namespace.ObjectName +
					"`, which `brane_namespace` creates by default.",
				Optional:   true,
				Attributes: credentialsAttributes(),
			},
			"verify_credentials": schema.BoolAttribute{
				MarkdownDescription: "Verify the credentials against the API server before they are registered and on each refresh. " +
					"Set this to `false` if the machine that runs Terraform cannot reach `address`. Defaults to `true`. " +
					"In both cases a refresh compares the token with its service account and its Secret through the provider's own connection, if that is possible.",
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(true),
			},
			"expires_at": schema.StringAttribute{
				MarkdownDescription: "Expiry time of the registered credentials (RFC 3339). Null if they do not expire.",
				Computed:            true,
			},
			"fingerprint": schema.StringAttribute{
				MarkdownDescription: "Salted digest of the registered kubeconfig, to detect changes.",
				Computed:            true,
			},
			"token_secret": schema.StringAttribute{
				MarkdownDescription: "Name of the Secret in `namespace` that holds the token, if `credentials.long_lived` is set.",
				Computed:            true,
			},
			"drift":    attribute.NewDrift("The next apply corrects them."),
			"timeouts": attribute.NewTimeouts(ctx, infrastructureTimeout),
		},
	}
	attribute.FixTypes(resp.Schema.Attributes)
}

func credentialsAttributes() map[string]schema.Attribute {
	sibling := func(name string) path.Expression { return path.MatchRelative().AtParent().AtName(name) }
	return map[string]schema.Attribute{
		"service_account": schema.StringAttribute{
			MarkdownDescription: "Service account in `namespace` for which the provider requests a token.",
			Optional:            true,
			Validators: []validator.String{
				attribute.DNSSubdomain(), stringvalidator.ExactlyOneOf(sibling("service_account"), sibling("kubeconfig_wo")),
			},
		},
		"lifetime": schema.StringAttribute{
			MarkdownDescription: "Requested lifetime of the token, for example `720h`; at least `10m`. The API server can grant less. Defaults to `2160h` (90 days).",
			CustomType:          timetypes.GoDurationType{},
			Optional:            true,
			Validators: []validator.String{
				attribute.DurationAtLeast(10*time.Minute, "ten minutes"), // the API server's own lower bound
				stringvalidator.AlsoRequires(sibling("service_account")), stringvalidator.ConflictsWith(sibling("long_lived")),
			},
		},
		"renew_before": schema.StringAttribute{
			MarkdownDescription: "Time before the expiry of the token in which an apply replaces it by a new one, for example `168h`. Must be shorter than `lifetime`. " +
				"Defaults to a third of the lifetime that the API server granted; the default also applies if the API server granted no more than `renew_before`.",
			CustomType: timetypes.GoDurationType{},
			Optional:   true,
			Validators: []validator.String{
				attribute.DurationAtLeast(time.Minute, "one minute"),
				stringvalidator.AlsoRequires(sibling("service_account")), stringvalidator.ConflictsWith(sibling("long_lived")),
			},
		},
		"long_lived": schema.BoolAttribute{
			MarkdownDescription: "Register a token that never expires, which is stored in a Secret of the cluster (`token_secret`). " +
				"Intended for instances whose Terraform configuration is rarely applied. Prefer expiring tokens. The token is revoked when it is replaced and when the resource is destroyed. Runs that use it continue with the new token. Defaults to `false`.",
			Optional:   true,
			Validators: []validator.Bool{boolvalidator.AlsoRequires(sibling("service_account"))},
		},
		"rotation_triggers": schema.MapAttribute{
			MarkdownDescription: "Arbitrary values that cause a new token to be requested when one of them changes, for example `{ month = formatdate(\"YYYY-MM\", plantimestamp()) }`.",
			ElementType:         types.StringType,
			Optional:            true,
			Validators:          []validator.Map{mapvalidator.AlsoRequires(sibling("service_account"))},
		},
		"kubeconfig_wo": schema.StringAttribute{
			MarkdownDescription: "Kubeconfig to register, not stored in the state. Must be self-contained: no file references and no exec plugin.",
			Optional:            true,
			WriteOnly:           true,
			Validators:          []validator.String{stringvalidator.AlsoRequires(sibling("kubeconfig_wo_version"))},
		},
		"kubeconfig_wo_version": schema.Int64Attribute{
			MarkdownDescription: "Version of `kubeconfig_wo`. Terraform cannot detect changes of a write-only value: increase the version to register another kubeconfig.",
			Optional:            true,
			Validators:          []validator.Int64{int64validator.AlsoRequires(sibling("kubeconfig_wo"))},
		},
	}
}
