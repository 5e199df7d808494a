package fileset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
	"github.com/braneframework/terraform-provider-brane/internal/provider/inputs"
)

var _ datasource.DataSourceWithConfigure = &fileDataSource{}

// stateLimit is the maximum size of a file in the state. Larger files need `save_to`.
const stateLimit = 4 << 20

// progressEvery is the interval of progress messages in the log.
const progressEvery = 5 * time.Second

// NewFileDataSource returns the data source `brane_file`.
func NewFileDataSource() datasource.DataSource { return &fileDataSource{} }

type fileDataSource struct{ clients *clients.Clients }

func (d *fileDataSource) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_file"
}

func (d *fileDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads one file that is stored in Redis, one of the `outputs` of a workflow run or a file of a `brane_file_set`, into the state or into a local file. " +
			"Other files of steps cannot be read.",
		Attributes: map[string]schema.Attribute{
			"run": schema.StringAttribute{
				MarkdownDescription: "`id` of a `brane_workflow_run`. Exactly one of `run` and `file_set` must be set.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.ExactlyOneOf(path.MatchRoot("file_set")), stringvalidator.AlsoRequires(path.MatchRoot("outputs_digest"))},
			},
			"outputs_digest": schema.StringAttribute{
				MarkdownDescription: "`outputs_digest` of the run, required with `run`. It is null until the run has succeeded.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.AlsoRequires(path.MatchRoot("run"))},
			},
			"file_set": schema.StringAttribute{
				MarkdownDescription: "`reference` of a `brane_file_set`.",
				Optional:            true,
				Validators:          []validator.String{inputs.FileSetReference()},
			},
			"path": schema.StringAttribute{
				MarkdownDescription: "Path of the file: relative to `/data` for an output, or in the set.",
				Required:            true,
				Validators:          []validator.String{inputs.RelativePath()},
			},
			"save_to": schema.StringAttribute{
				MarkdownDescription: "Path on the machine that runs Terraform to which the file is saved, of any size. Its directory must exist. The file is written whenever Terraform reads the data source, which can be during a plan, " +
					"atomically and with the stored permissions, but not if it already has this content. It stays when the data source is removed. Its content is not stored in the state. The log shows the progress (`TF_LOG_PROVIDER=INFO`).",
				Optional:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"size":    schema.Int64Attribute{MarkdownDescription: "Size in bytes.", Computed: true},
			"sha256":  schema.StringAttribute{MarkdownDescription: "SHA-256 of the content, in hexadecimal.", Computed: true},
			"content": schema.StringAttribute{MarkdownDescription: "Content of the file if it is UTF-8 text of at most 4 MiB and `save_to` is not set; null otherwise, for example for a larger file.", Computed: true},
		},
	}
}

type fileDataModel struct {
	Run           types.String `tfsdk:"run"`
	OutputsDigest types.String `tfsdk:"outputs_digest"`
	FileSet       types.String `tfsdk:"file_set"`
	Path          types.String `tfsdk:"path"`
	SaveTo        types.String `tfsdk:"save_to"`
	Size          types.Int64  `tfsdk:"size"`
	SHA256        types.String `tfsdk:"sha256"`
	Content       types.String `tfsdk:"content"`
}

func (d *fileDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	d.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (d *fileDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var model fileDataModel
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	ctx, done := attribute.WithLimit(ctx, fileTimeout)
	defer done()
	store, entry, err := d.findFile(ctx, model, &resp.Diagnostics)
	if err == nil {
		err = model.readContent(ctx, store, entry)
	}
	var missing *files.MissingError
	switch {
	case errors.As(err, &missing):
		resp.Diagnostics.AddAttributeError(path.Root("path"), "File not found", err.Error()+".")
	case err != nil:
		diagnostic.AddError(&resp.Diagnostics, "Failed to read file", fmt.Sprintf("Reading the file %q", model.Path.ValueString()), err)
	default:
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}

// findFile returns the file in its stored files.
func (d *fileDataSource) findFile(ctx context.Context, model fileDataModel, diags *diag.Diagnostics) (*files.Store, files.Entry, error) {
	client, warnings, err := d.clients.RedisClient(ctx)
	if err != nil {
		return nil, files.Entry{}, err
	}
	diagnostic.AddRedisWarnings(diags, warnings)
	var store *files.Store
	layer := files.Layer(model.OutputsDigest.ValueString())
	if model.FileSet.IsNull() {
		store, err = results.OpenFiles(client, model.Run.ValueString())
	} else {
		store, layer, err = openReference(ctx, client, model.FileSet.ValueString())
	}
	if err != nil {
		return nil, files.Entry{}, err
	}
	tree, err := store.Tree(ctx, layer)
	if err != nil {
		return nil, files.Entry{}, err
	}
	entry, found := tree.Resolve(model.Path.ValueString())
	if !found || !entry.IsFile() {
		return nil, files.Entry{}, &files.MissingError{Paths: []string{model.Path.ValueString()}}
	}
	return store, entry, nil
}

// readContent reads the content into the model, or saves it.
func (m *fileDataModel) readContent(ctx context.Context, store *files.Store, entry files.Entry) (err error) {
	m.Size = types.Int64Value(entry.Size)
	if !m.SaveTo.IsNull() {
		digest, err := saveFile(ctx, store, entry, m.SaveTo.ValueString(), time.Now())
		m.SHA256 = types.StringValue(digest)
		return err
	}
	var content bytes.Buffer
	digest := inputs.NewDigestWriter(io.Discard)
	if entry.Size <= stateLimit {
		digest = inputs.NewDigestWriter(&content)
	}
	if err := store.Read(ctx, entry, digest); err != nil {
		return err
	}
	m.SHA256 = types.StringValue(digest.HexDigest())
	if entry.Size <= stateLimit && utf8.Valid(content.Bytes()) {
		m.Content = types.StringValue(content.String())
	}
	return nil
}

// saveFile writes a temporary file next to the target and renames it when it is complete. logged is the time of the last progress message.
func saveFile(ctx context.Context, store *files.Store, entry files.Entry, to string, logged time.Time) (digest string, err error) {
	if digest, is := savedBefore(entry, to); is { // each plan reads the data source
		return digest, nil
	}
	part, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".part-*")
	if err != nil {
		return "", fmt.Errorf("save to %s: %w", to, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name()) // incomplete
		}
	}()
	content := inputs.NewDigestWriter(&progress{ctx: ctx, to: part, name: to, size: entry.Size, logged: logged})
	err = store.Read(ctx, entry, content)
	if err == nil {
		err = part.Chmod(entry.Mode.Perm())
	}
	if err = errors.Join(err, part.Close()); err == nil {
		err = os.Rename(part.Name(), to)
	}
	if err != nil {
		return "", fmt.Errorf("save to %s: %w", to, err)
	}
	tflog.Info(ctx, "file saved", map[string]any{"path": to, "bytes": entry.Size})
	return content.HexDigest(), nil
}

// savedBefore returns the digest of the file at a path, and whether it has the content of the entry.
func savedBefore(entry files.Entry, to string) (digest string, is bool) {
	file, err := os.Open(to)
	if err != nil {
		return "", false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() != entry.Size {
		return "", false
	}
	all := inputs.NewDigestWriter(io.Discard)
	is, err = entry.IsContent(io.TeeReader(file, all))
	return all.HexDigest(), is && err == nil
}

// progress logs how much is written, at intervals.
type progress struct {
	ctx     context.Context //nolint:containedctx // io.Writer has no context parameter
	to      io.Writer
	name    string
	written int64
	size    int64
	logged  time.Time
}

func (p *progress) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	p.written += int64(n)
	if now := time.Now(); now.Sub(p.logged) >= progressEvery {
		p.logged = now
		tflog.Info(p.ctx, "saving file", map[string]any{"path": p.name, "bytes": p.written, "of": p.size})
	}
	return n, err
}
