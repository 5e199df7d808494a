package infrastructure

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var _ list.ListResourceWithConfigure = &infrastructureListResource{}

// NewListResource returns the list resource `brane_infrastructure`.
func NewListResource() list.ListResource { return &infrastructureListResource{} }

// infrastructureListResource lists the locations that can be imported: those on Kubernetes, also those that Terraform does not manage.
type infrastructureListResource struct{ clients *clients.Clients }

func (l *infrastructureListResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_infrastructure"
}

func (l *infrastructureListResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	l.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (l *infrastructureListResource) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists the locations of the Brane instance on Kubernetes, to import them as `brane_infrastructure` (`terraform query`, Terraform 1.14).",
	}
}

func (l *infrastructureListResource) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	var diags diag.Diagnostics
	store, err := l.clients.ConfigStore()
	var files infra.Files
	if err == nil {
		files, err = store.Read(ctx)
	}
	if err != nil {
		diagnostic.AddError(&diags, "Failed to list locations", "Reading the locations of the Brane instance", err)
		stream.Results = list.ListResultsStreamDiagnostics(diags)
		return
	}
	stream.Results = func(push func(list.ListResult) bool) {
		left := req.Limit
		for _, name := range files.Infra.Names() {
			registration, _ := files.Lookup(name) // a location without valid credentials can be imported
			if registration.Location.Kind != "kube" {
				continue
			}
			if req.Limit > 0 && left == 0 || !push(l.result(ctx, req, registration)) {
				return
			}
			left--
		}
	}
}

// result returns the attributes that an import of the location sets.
func (l *infrastructureListResource) result(ctx context.Context, req list.ListRequest, registration infra.Registration) list.ListResult {
	result := req.NewListResult(ctx)
	location := registration.Location.WithoutUserInfo()
	result.DisplayName = fmt.Sprintf("%s (namespace %s at %s)", location.Name, location.Namespace, location.Address)
	model := infrastructureModel{
		Name: types.StringValue(location.Name), SecretName: attribute.StringOrNull(location.SecretName), Credentials: types.ObjectNull(credentialsTypes),
		VerifyCredentials: types.BoolValue(true), Drift: attribute.EmptyDrift(), Timeouts: attribute.NullTimeouts(req),
	}
	result.Diagnostics.Append(result.Identity.Set(ctx, model.identity())...)
	if req.IncludeResource {
		model.refresh(location)
		if kubeconfig, err := credentials.Parse(registration.Kubeconfig); err == nil {
			model.adopt(registration.Kubeconfig, kubeconfig)
		}
		result.Diagnostics.Append(result.Resource.Set(ctx, model)...)
	}
	return result
}
