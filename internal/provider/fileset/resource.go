// Package fileset implements the resource brane_file_set and the data source brane_file.
package fileset

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
	"github.com/braneframework/terraform-provider-brane/internal/provider/inputs"
)

var (
	_ resource.ResourceWithConfigure      = &fileSetResource{}
	_ resource.ResourceWithIdentity       = &fileSetResource{}
	_ resource.ResourceWithImportState    = &fileSetResource{}
	_ resource.ResourceWithModifyPlan     = &fileSetResource{}
	_ resource.ResourceWithValidateConfig = &fileSetResource{}
)

// fileTimeout is the default limit of each operation.
const fileTimeout = time.Hour

// NewResource returns the resource `brane_file_set`.
func NewResource() resource.Resource { return &fileSetResource{} }

type fileSetResource struct{ clients *clients.Clients }

func (r *fileSetResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_file_set"
}

func (r *fileSetResource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (r *fileSetResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"name": identityschema.StringAttribute{Description: "Name of the file set.", RequiredForImport: true},
	}}
}

func (r *fileSetResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	sources := inputs.NewSources("content", "source")
	sources.MarkdownDescription = "Files by their path in the set. Each has either `content` or `source`. Conflicts with `directory`."
	resp.Schema = schema.Schema{
		MarkdownDescription: "A shared set of files stored in Redis. It is uploaded once and kept until destroyed. Runs that use its `reference` as an input get a server-side copy. " +
			"The set is stored in the Redis of the provider block and is available to runs in every cluster.\n\n" +
			"Files that are missing or modified in Redis are reported as drift and stored again by the next apply. " +
			"A refresh checks the size of every stored file and verifies the content of the smallest files, up to 4 MiB in total. " +
			"A larger file that was modified without changing its size is only detected when it is next read; repair it with `terraform apply -replace`.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the set, unique in this Redis: a DNS label of at most 40 characters. Its Redis keys start with `brane:set--<name>:`. " + attribute.ForcesReplacement,
				Required:            true,
				Validators:          []validator.String{attribute.RunName()},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"files": sources,
			"directory": schema.StringAttribute{
				MarkdownDescription: "Path of a directory on the machine that runs Terraform, with all files of the set. Empty directories are ignored; symbolic links are an error.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.ExactlyOneOf(path.MatchRoot("files"))},
			},
			"sha256": schema.StringAttribute{
				MarkdownDescription: "Digest of all files: the SHA-256 of the output of `sha256sum` for the files, sorted by path.",
				Computed:            true,
			},
			"reference": schema.StringAttribute{
				MarkdownDescription: "Reference to this content of the set, `<name>@<sha256>`, for the inputs of a run. It changes with the content, so that the steps of a run that see it run again.",
				Computed:            true,
			},
			"drift":    attribute.NewDrift("The next apply corrects them."),
			"timeouts": attribute.NewTimeouts(ctx, fileTimeout),
		},
	}
	attribute.FixTypes(resp.Schema.Attributes)
}

// ValidateConfig reports null elements.
func (r *fileSetResource) ValidateConfig(_ context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	attribute.CheckElements(req.Config, &resp.Diagnostics)
}

// ModifyPlan computes the digest of the files, so that the plan shows whether the content changes.
func (r *fileSetResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return // destroy
	}
	var plan fileSetModel
	if !attribute.Decode(ctx, req.Plan, &plan, &resp.Diagnostics) {
		return
	}
	plan.SHA256, plan.Reference = types.StringUnknown(), types.StringUnknown()
	if plan.hasKnownContent() {
		_, digest, ok := plan.readSources(ctx, &resp.Diagnostics)
		if !ok {
			return
		}
		plan.setContent(digest)
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("sha256"), plan.SHA256)...)
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("reference"), plan.Reference)...)
}

func (r *fileSetResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var model fileSetModel
	ctx, done := attribute.StartOperation(ctx, "create", req.Plan, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	set, ok := r.openSet(ctx, model.Name.ValueString(), &resp.Diagnostics)
	if !ok {
		return
	}
	_, content, err := set.Layer(ctx)
	if err == nil && content != "" && content != model.SHA256.ValueString() && !model.SHA256.IsUnknown() {
		resp.Diagnostics.AddAttributeError(path.Root("name"), "File set already exists",
			fmt.Sprintf("Storing file set %q: this Redis contains a set of this name with other content (%.12s…), possibly of another configuration. Choose another name, or destroy the other set first.", model.Name.ValueString(), content))
		return
	}
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to store file set", fmt.Sprintf("Reading file set %q from Redis", model.Name.ValueString()), err)
		return
	}
	if r.storeFiles(ctx, set, &model, &resp.Diagnostics) {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
		model.ownFiles(ctx, set, []string{rand.Text()}, resp.Private, &resp.Diagnostics)
	}
}

func (r *fileSetResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var model fileSetModel
	ctx, done := attribute.StartOperation(ctx, "read", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	what := fmt.Sprintf("file set %q", model.Name.ValueString())
	redis, warnings, err := r.clients.RedisClient(ctx)
	if errors.Is(err, clients.ErrNotKnown) {
		diagnostic.AddNotRefreshed(&resp.Diagnostics, what)
		return
	}
	diagnostic.AddRedisWarnings(&resp.Diagnostics, warnings)
	var set *files.Set
	var sentences []string
	if err == nil {
		set, err = files.OpenSet(redis, model.Name.ValueString())
	}
	if err == nil && model.SHA256.IsNull() {
		if err = model.setImported(ctx, set); err == nil {
			err = adoptOwners(ctx, set, resp.Private, &resp.Diagnostics)
		}
	}
	if err == nil {
		sentences, err = fileSetDrift(ctx, set, model.SHA256.ValueString())
	}
	switch {
	case errors.Is(err, errNoSet):
		resp.State.RemoveResource(ctx) // the plan shows it and creates it again
	case err != nil:
		diagnostic.AddError(&resp.Diagnostics, "Failed to read file set", "Reading "+what+" from Redis", err)
	default:
		model.Drift = attribute.DriftValue(sentences)
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}

// errNoSet reports that Redis does not contain the set.
var errNoSet = errors.New("the file set does not exist")

// fileSetDrift returns the differences of the stored files, one message per item.
func fileSetDrift(ctx context.Context, set *files.Set, want string) ([]string, error) {
	layer, content, err := set.Layer(ctx)
	switch {
	case err != nil:
		return nil, err
	case layer == "":
		return nil, errNoSet
	case content != want:
		return []string{fmt.Sprintf("other content is stored: %s", content)}, nil
	}
	lost, changed, err := set.Damage(ctx, layer)
	if errors.Is(err, files.ErrGone) || errors.Is(err, files.ErrCorrupt) {
		return []string{"the list of files is missing in Redis"}, nil
	}
	var sentences []string
	for _, name := range lost {
		sentences = append(sentences, fmt.Sprintf("file %q is missing in Redis", name))
	}
	for _, name := range changed {
		sentences = append(sentences, fmt.Sprintf("file %q is modified in Redis", name))
	}
	return sentences, err
}

func (r *fileSetResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var model fileSetModel
	ctx, done := attribute.StartOperation(ctx, "update", req.Plan, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, model.identity())...)
	set, ok := r.openSet(ctx, model.Name.ValueString(), &resp.Diagnostics)
	if !ok {
		return
	}
	if r.storeFiles(ctx, set, &model, &resp.Diagnostics) {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
		own := readOwners(ctx, req.Private, &resp.Diagnostics)
		if len(own) == 0 { // the set was imported, and had none
			own = []string{rand.Text()}
		}
		model.ownFiles(ctx, set, own, resp.Private, &resp.Diagnostics)
	}
}

func (r *fileSetResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var model fileSetModel
	ctx, done := attribute.StartOperation(ctx, "delete", req.State, &model, &resp.Diagnostics)
	defer done()
	if resp.Diagnostics.HasError() {
		return
	}
	set, ok := r.openSet(ctx, model.Name.ValueString(), &resp.Diagnostics)
	if !ok {
		return
	}
	owners, err := set.Owners(ctx)
	others := otherOwners(owners, readOwners(ctx, req.Private, &resp.Diagnostics))
	switch {
	case err != nil:
	case len(others) == 0:
		err = set.Delete(ctx)
	default:
		if err = set.SetOwners(ctx, others); err == nil {
			resp.Diagnostics.AddWarning("File set kept", fmt.Sprintf("Deleting file set %q from Redis: another resource has stored it as well, or this one when it was replaced with create_before_destroy. "+
				"Its files stay in Redis, and are deleted with that resource. If there is none, because its state was lost, import the file set and destroy it.", model.Name.ValueString()))
		}
	}
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to delete file set", fmt.Sprintf("Deleting file set %q from Redis", model.Name.ValueString()), err)
	}
}
