package namespace

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var _ list.ListResourceWithConfigure = &namespaceListResource{}

// NewListResource returns the list resource `brane_namespace`.
func NewListResource() list.ListResource { return &namespaceListResource{} }

// namespaceListResource lists namespaces for `terraform query`.
type namespaceListResource struct{ clients *clients.Clients }

func (l *namespaceListResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_namespace"
}

func (l *namespaceListResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	l.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (l *namespaceListResource) ListResourceConfigSchema(_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists namespaces by their labels, to import them as `brane_namespace`.",
		Attributes: map[string]schema.Attribute{
			"cluster": schema.StringAttribute{
				MarkdownDescription: attribute.ClusterDescription,
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"selector": schema.StringAttribute{
				MarkdownDescription: "[Label selector](https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors), for example `team in (imaging, genomics),env!=test`; " +
					"an empty string selects all namespaces. Defaults to `" + ourSelector + "`, which selects those that a `brane_namespace` manages.",
				Optional:   true,
				Validators: []validator.String{attribute.NewStringRule("label selector", selectorProblems)},
			},
		},
	}
}

const ourSelector = namespace.ManagedByLabel + "=" + namespace.ManagedBy

func selectorProblems(text string) []string {
	if _, err := labels.Parse(text); err != nil {
		return []string{err.Error()}
	}
	return nil
}

func (l *namespaceListResource) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	var diags diag.Diagnostics
	var cluster, selector types.String
	diags.Append(req.Config.GetAttribute(ctx, path.Root("cluster"), &cluster)...)
	diags.Append(req.Config.GetAttribute(ctx, path.Root("selector"), &selector)...)
	if selector.IsNull() {
		selector = types.StringValue(ourSelector)
	}
	client, err := l.clients.Kubernetes(cluster)
	var names []string
	if err == nil {
		names, err = namespace.Names(ctx, client, selector.ValueString())
	}
	if err != nil {
		diagnostic.AddError(&diags, "Failed to list Namespaces", "Listing namespaces labelled "+selector.ValueString(), err)
	}
	if diags.HasError() {
		stream.Results = list.ListResultsStreamDiagnostics(diags)
		return
	}
	if int64(len(names)) > req.Limit && req.Limit > 0 {
		names = names[:req.Limit] // the framework does not apply the limit
	}
	stream.Results = func(push func(list.ListResult) bool) {
		for _, name := range names {
			if !push(l.result(ctx, req, cluster, name)) {
				return
			}
		}
	}
}

// result returns one namespace, with its attributes if the request includes the resource.
func (l *namespaceListResource) result(ctx context.Context, req list.ListRequest, cluster types.String, name string) list.ListResult {
	result := req.NewListResult(ctx)
	result.DisplayName = name
	model := namespaceModel{Name: types.StringValue(name), Cluster: cluster}
	result.Diagnostics.Append(result.Identity.Set(ctx, model.identity())...)
	if !req.IncludeResource {
		return result
	}
	result.Diagnostics.Append(l.describe(ctx, req, &model)...)
	if !result.Diagnostics.HasError() {
		result.Diagnostics.Append(result.Resource.Set(ctx, model)...)
	}
	return result
}

// describe sets the attributes as an import of the namespace does.
func (l *namespaceListResource) describe(ctx context.Context, req list.ListRequest, model *namespaceModel) diag.Diagnostics {
	var diags diag.Diagnostics
	reader, err := l.clients.NamespaceReader(model.Cluster)
	var spec namespace.Spec
	var state namespace.State
	if err == nil {
		spec, err = namespace.Discover(ctx, reader, model.Name.ValueString(), defaultAccount)
	}
	if err == nil {
		state, err = namespace.Read(ctx, reader, spec)
	}
	if err != nil {
		diagnostic.AddError(&diags, "Failed to read Namespace", fmt.Sprintf("Reading namespace %q", model.Name.ValueString()), err)
		return diags
	}
	model.Timeouts = attribute.NullTimeouts(req)
	diags.Append(model.found(ctx, spec)...)
	diags.Append(model.refresh(ctx, state)...)
	return diags
}
