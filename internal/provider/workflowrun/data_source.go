package workflowrun

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
)

var _ datasource.DataSourceWithConfigure = &workflowRunDataSource{}

// NewDataSource returns the data source `brane_workflow_run`.
func NewDataSource() datasource.DataSource { return &workflowRunDataSource{} }

type workflowRunDataSource struct{ runner runner }

func (d *workflowRunDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_workflow_run"
}

func (d *workflowRunDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.runner.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (d *workflowRunDataSource) Schema(ctx context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := map[string]schema.Attribute{
		"name": schema.StringAttribute{
			MarkdownDescription: "Name of the run.",
			Required:            true,
			Validators:          []validator.String{attribute.RunName()},
		},
		"infrastructure": schema.StringAttribute{
			MarkdownDescription: "Name of the infrastructure that the run is on. Exactly one of `infrastructure` and `namespace` must be set.",
			Optional:            true,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.ExactlyOneOf(path.MatchRoot("infrastructure"), path.MatchRoot("namespace"))},
		},
		"namespace": schema.StringAttribute{
			MarkdownDescription: "Namespace of a run without an infrastructure. With `infrastructure`, this is the namespace of the infrastructure.",
			Optional:            true,
			Computed:            true,
			Validators:          []validator.String{attribute.DNSLabel()},
		},
		"cluster": schema.StringAttribute{
			MarkdownDescription: attribute.ClusterDescription + " With `infrastructure`, only for a run with `submit_with = \"provider\"`.",
			Optional:            true,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
	}
	of := resourceSchema(ctx).Attributes
	for _, name := range []string{"id", "status", "started_at", "finished_at", "duration", "results", "outputs", "outputs_digest"} {
		attributes[name] = dataAttribute(name, of[name])
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads a run that another configuration manages: its status, the results of its steps and its outputs, also while it is in progress. Nothing is changed.\n\n" +
			"The provider block must have the same Redis as that of the other configuration. A run is found by its name and its place; the cluster must have the same address in both provider blocks. " +
			"If the cluster or Redis cannot be reached, reading it is an error. After `retention`, the outputs still exist, as long as the resource does.",
		Attributes: attributes,
	}
}

// dataAttribute converts an attribute of the resource to a computed one of the data source.
func dataAttribute(name string, of resourceschema.Attribute) schema.Attribute {
	text := withoutConsequence.Replace(of.GetMarkdownDescription())
	if other, found := dataDescriptions[name]; found {
		text = other
	}
	switch a := of.(type) {
	case resourceschema.StringAttribute:
		return schema.StringAttribute{MarkdownDescription: text, Computed: true}
	case resourceschema.Int64Attribute:
		return schema.Int64Attribute{MarkdownDescription: text, Computed: true}
	case resourceschema.MapNestedAttribute:
		nested := map[string]schema.Attribute{}
		for name, field := range a.NestedObject.Attributes {
			nested[name] = dataAttribute("", field)
		}
		return schema.MapNestedAttribute{MarkdownDescription: text, Computed: true, NestedObject: schema.NestedAttributeObject{Attributes: nested}}
	}
	panic(fmt.Sprintf("attribute %q is a %T: add it to dataAttribute", name, of)) // every schema is read in tests
}

// dataDescriptions are the descriptions of those attributes whose description in the resource does not hold for the data source.
var dataDescriptions = map[string]string{
	"status": "`succeeded`, `failed` (a step failed), `stopped` (interrupted, timed out, or unable to continue; steps that were not stopped may still be running) or `running` " +
		"(in progress, or the process that executed the run was killed).",
	"results": "Results of the steps, by step. All values of a step that has not ended are null.",
	"outputs": "Output files, by name. All values but `path` are null until the run has succeeded, and if a fan-out step that may write the file has no items.",
}

type workflowRunDataModel struct {
	Name           types.String `tfsdk:"name"`
	Infrastructure types.String `tfsdk:"infrastructure"`
	Namespace      types.String `tfsdk:"namespace"`
	Cluster        types.String `tfsdk:"cluster"`
	ID             types.String `tfsdk:"id"`
	Status         types.String `tfsdk:"status"`
	StartedAt      types.String `tfsdk:"started_at"`
	FinishedAt     types.String `tfsdk:"finished_at"`
	Duration       types.String `tfsdk:"duration"`
	Results        types.Map    `tfsdk:"results"`
	Outputs        types.Map    `tfsdk:"outputs"`
	OutputsDigest  types.String `tfsdk:"outputs_digest"`
}

func (d *workflowRunDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model workflowRunDataModel
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	at := place{model.Infrastructure, model.Namespace, model.Cluster}
	tried := fmt.Sprintf("Reading run %q %s", model.Name.ValueString(), at)
	var run workflowRunModel
	id, err := d.runner.findID(ctx, model.Name.ValueString(), &at)
	if err == nil {
		run, err = d.runner.findRun(ctx, id, at, &resp.Diagnostics)
	}
	if errors.Is(err, clients.ErrNotKnown) && req.ClientCapabilities.DeferralAllowed {
		resp.Deferred = &datasource.Deferred{Reason: datasource.DeferredReasonProviderConfigUnknown}
		return
	}
	if err != nil {
		reportNotRead(&resp.Diagnostics, tried, err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, workflowRunDataModel{
		Name: model.Name, Infrastructure: model.Infrastructure, Namespace: run.Namespace, Cluster: model.Cluster, ID: run.ID, Status: run.Status,
		StartedAt: run.StartedAt, FinishedAt: run.FinishedAt, Duration: run.Duration, Results: run.Results, Outputs: run.Outputs, OutputsDigest: run.OutputsDigest,
	})...)
}
