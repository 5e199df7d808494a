// Package provider implements the Terraform side of the provider: schemas, plans, state and diagnostics. Package internal/brane and those below it change
// clusters, Brane's files and Redis; this package decides when and with which values, and reports the results.
//
// Each resource has a separate package below this one: resource.go (its operations, always in the same order, each of which starts with a call of
// attribute.StartOperation) and model.go (its values and their conversion), and schema.go and plan.go if schema and planning are long.
package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/redis/go-redis/v9/logging"

	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/branepackage"
	"github.com/braneframework/terraform-provider-brane/internal/provider/fileset"
	"github.com/braneframework/terraform-provider-brane/internal/provider/functions"
	"github.com/braneframework/terraform-provider-brane/internal/provider/infrastructure"
	"github.com/braneframework/terraform-provider-brane/internal/provider/kubeconfig"
	"github.com/braneframework/terraform-provider-brane/internal/provider/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/workflowrun"
)

var (
	_ provider.Provider                       = &braneProvider{}
	_ provider.ProviderWithActions            = &braneProvider{}
	_ provider.ProviderWithEphemeralResources = &braneProvider{}
	_ provider.ProviderWithFunctions          = &braneProvider{}
	_ provider.ProviderWithListResources      = &braneProvider{}
	_ provider.ProviderWithValidateConfig     = &braneProvider{}
)

// New returns a constructor of the provider. version is its version and, by default, the tag of the agent image.
func New(version string) func() provider.Provider {
	return NewWithClock(version, time.Now)
}

// NewWithClock returns a constructor of a provider with another clock, for tests of what happens as time passes.
func NewWithClock(version string, now func() time.Time) func() provider.Provider {
	logging.Disable() // of go-redis: it writes to stderr, which the CLI shows as the provider's log
	return func() provider.Provider { return &braneProvider{version: version, now: now} }
}

type braneProvider struct {
	version string
	now     func() time.Time
}

func (p *braneProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "brane"
	resp.Version = p.version
}

func (p *braneProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Registers Kubernetes clusters with [Brane](https://github.com/BraneFramework/brane) and runs workflows of containers on them.",
		Attributes: map[string]schema.Attribute{
			"kubernetes":    kubernetesSchema(),
			"clusters":      clustersSchema(),
			"redis":         redisSchema(),
			"control_plane": controlPlaneSchema(),
			"agent_image": schema.StringAttribute{
				MarkdownDescription: "Image of the agent that copies files into and out of each step's container. The nodes of the cluster pull it. " +
					"Defaults to the image that is published with this release of the provider; a provider that was built from source needs a value. The image must have the version of the provider." + orEnvironment("BRANE_AGENT_IMAGE"),
				Optional:   true,
				Validators: []validator.String{attribute.ImageReference()},
			},
		},
	}
}

// ValidateConfig reports contradictions between the settings of a connection, and between them and the environment.
func (p *braneProvider) ValidateConfig(ctx context.Context, req provider.ValidateConfigRequest, resp *provider.ValidateConfigResponse) {
	var model providerModel
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	var diags diag.Diagnostics
	model.toConnections(ctx, &diags)
	resp.Diagnostics.Append(diags.Errors()...) // Configure returns the warnings
}

func (p *braneProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var model providerModel
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	connections, diags := model.toClients(ctx, p.version)
	resp.Diagnostics.Append(diags...)
	connections.Now = p.now
	resp.ResourceData = connections
	resp.DataSourceData = connections
	resp.EphemeralResourceData = connections
	resp.ListResourceData = connections
	resp.ActionData = connections
	if model.hasUnknown() && req.ClientCapabilities.DeferralAllowed {
		resp.Deferred = &provider.Deferred{Reason: provider.DeferredReasonProviderConfigUnknown}
	}
}

func (p *braneProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		namespace.NewResource,
		infrastructure.NewResource,
		workflowrun.NewResource,
		fileset.NewResource,
	}
}

func (p *braneProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		infrastructure.NewDataSource,
		infrastructure.NewPluralDataSource,
		namespace.NewDataSource,
		branepackage.NewDataSource,
		fileset.NewFileDataSource,
		workflowrun.NewDataSource,
	}
}

func (p *braneProvider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{kubeconfig.NewEphemeralResource}
}

func (p *braneProvider) Functions(context.Context) []func() function.Function {
	return []func() function.Function{
		kubeconfig.NewFunction,
		functions.NewInfraYML,
		functions.NewSecretsYML,
		functions.NewBackendYML,
	}
}

func (p *braneProvider) ListResources(context.Context) []func() list.ListResource {
	return []func() list.ListResource{infrastructure.NewListResource, namespace.NewListResource, workflowrun.NewListResource}
}

func (p *braneProvider) Actions(context.Context) []func() action.Action {
	return []func() action.Action{infrastructure.NewRotateCredentialAction, workflowrun.NewAction}
}
