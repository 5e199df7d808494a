package fileset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
	"github.com/braneframework/terraform-provider-brane/internal/provider/inputs"
)

type fileSetModel struct {
	Name      types.String   `tfsdk:"name"`
	Files     types.Map      `tfsdk:"files"`
	Directory types.String   `tfsdk:"directory"`
	SHA256    types.String   `tfsdk:"sha256"`
	Reference types.String   `tfsdk:"reference"`
	Drift     types.List     `tfsdk:"drift"`
	Timeouts  timeouts.Value `tfsdk:"timeouts"`
}

func (m *fileSetModel) TimeoutLimits() (timeouts.Value, time.Duration) {
	return m.Timeouts, fileTimeout
}

// fileSetIdentity identifies a file set in a Redis.
type fileSetIdentity struct {
	Name types.String `tfsdk:"name"`
}

func (m fileSetModel) identity() fileSetIdentity { return fileSetIdentity{m.Name} }

// sourceModel is one file of the set.
type sourceModel struct {
	Content types.String `tfsdk:"content"`
	Source  types.String `tfsdk:"source"`
	SHA256  types.String `tfsdk:"sha256"`
}

// hasKnownContent reports whether all values that determine the content are known.
func (m fileSetModel) hasKnownContent() bool {
	if attribute.HasUnknown(m.Name) || attribute.HasUnknown(m.Directory) || m.Files.IsUnknown() {
		return false
	}
	for _, file := range m.Files.Elements() {
		object, ok := file.(types.Object)
		if !ok || object.IsUnknown() || attribute.HasUnknown(object.Attributes()["content"]) || attribute.HasUnknown(object.Attributes()["source"]) {
			return false
		}
	}
	return true
}

// readSources returns the files and the digest of all of them. It returns false and adds an error if a file cannot be read.
func (m fileSetModel) readSources(ctx context.Context, diags *diag.Diagnostics) (map[string]files.Source, string, bool) {
	models := map[string]inputs.Model{}
	at := path.Root("directory")
	if m.Directory.IsNull() {
		at = path.Root("files")
		declared := map[string]sourceModel{}
		diags.Append(m.Files.ElementsAs(ctx, &declared, false)...)
		for name, file := range declared {
			models[name] = inputs.Model{Content: file.Content, Source: file.Source}
		}
	} else {
		found, err := filesBelow(m.Directory.ValueString())
		if err != nil {
			diags.AddAttributeError(at, "Directory not readable", fmt.Sprintf("Listing the files of %q: %s. Set the path of a directory that exists when Terraform plans.", m.Directory.ValueString(), err))
		}
		models = found
	}
	sources := map[string]files.Source{}
	all := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(models)) {
		digest, err := models[name].Digest()
		if err != nil {
			diags.AddAttributeError(at, "File not readable", fmt.Sprintf("Reading the file for %q: %s. Set the path of a file that exists when Terraform plans.", name, err))
			continue
		}
		fmt.Fprintf(all, "%s  %s\n", digest, name)
		sources[name] = models[name].ToSource()
	}
	return sources, hex.EncodeToString(all.Sum(nil)), !diags.HasError()
}

// filesBelow returns the regular files of a directory, by their path in it. Other entries are errors: a symbolic link could refer to something else elsewhere.
func filesBelow(directory string) (map[string]inputs.Model, error) {
	found := map[string]inputs.Model{}
	err := filepath.WalkDir(directory, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", file)
		}
		name, err := filepath.Rel(directory, file)
		if err == nil {
			found[filepath.ToSlash(name)] = inputs.Model{Source: types.StringValue(file)}
		}
		return err
	})
	if info, statErr := os.Stat(directory); err == nil && statErr == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", directory)
	}
	return found, err
}

// setContent sets the attributes that depend on the digest of the content.
func (m *fileSetModel) setContent(digest string) {
	m.SHA256 = types.StringValue(digest)
	m.Reference = types.StringValue(files.Reference{Set: m.Name.ValueString(), Content: digest}.String())
}

// openSet opens a file set in the Redis of the provider block.
func (r *fileSetResource) openSet(ctx context.Context, name string, diags *diag.Diagnostics) (*files.Set, bool) {
	redis, warnings, err := r.clients.RedisClient(ctx)
	var set *files.Set
	if err == nil {
		diagnostic.AddRedisWarnings(diags, warnings)
		set, err = files.OpenSet(redis, name)
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to connect to Redis", fmt.Sprintf("Connecting to Redis for file set %q", name), err)
	}
	return set, err == nil
}

// storeFiles stores the files. Their content must be that of the plan.
func (r *fileSetResource) storeFiles(ctx context.Context, set *files.Set, model *fileSetModel, diags *diag.Diagnostics) bool {
	sources, digest, ok := model.readSources(ctx, diags)
	if !ok {
		return false
	}
	if !model.SHA256.IsUnknown() && model.SHA256.ValueString() != digest {
		diags.AddError("Files changed since the plan", fmt.Sprintf("Storing file set %q: the content of its files differs from the plan. Run Terraform again.", model.Name.ValueString()))
		return false
	}
	model.setContent(digest)
	if _, err := set.Put(ctx, digest, sources); err != nil {
		diagnostic.AddError(diags, "Failed to store file set", fmt.Sprintf("Storing file set %q in Redis", model.Name.ValueString()), err)
		return false
	}
	return model.setDigests(ctx, diags)
}

// ownFiles makes this resource an owner of the stored set. That is last, because nothing would remove the owner of a resource that is in no state.
func (m fileSetModel) ownFiles(ctx context.Context, set *files.Set, own []string, private privateWriter, diags *diag.Diagnostics) {
	writeOwners(ctx, private, own, diags)
	if err := addOwners(ctx, set, own); err != nil {
		diagnostic.AddError(diags, "Failed to store file set", fmt.Sprintf("Adding this resource to the owners of file set %q in Redis", m.Name.ValueString()), err)
	}
}

// setDigests sets the digest of each file.
func (m *fileSetModel) setDigests(ctx context.Context, diags *diag.Diagnostics) bool {
	if m.Files.IsNull() {
		return true
	}
	declared := map[string]sourceModel{}
	diags.Append(m.Files.ElementsAs(ctx, &declared, false)...)
	for name, file := range declared {
		if digest, err := (inputs.Model{Content: file.Content, Source: file.Source}).Digest(); err == nil {
			file.SHA256 = types.StringValue(digest)
		}
		declared[name] = file
	}
	value, found := types.MapValueFrom(ctx, m.Files.ElementType(ctx), declared)
	diags.Append(found...)
	m.Files = value
	return !diags.HasError()
}

// openReference opens the set of a reference. The set must have the content of the reference.
func openReference(ctx context.Context, client redis.UniversalClient, text string) (*files.Store, files.Layer, error) {
	reference, err := files.ParseReference(text)
	if err != nil {
		return nil, "", err
	}
	set, err := files.OpenSet(client, reference.Set)
	if err != nil {
		return nil, "", err
	}
	layer, content, err := set.Layer(ctx)
	if err == nil && content != reference.Content {
		err = fmt.Errorf("the content %.12s… of file set %q %w", reference.Content, reference.Set, files.ErrGone)
	}
	if err != nil {
		return nil, "", err
	}
	store, err := set.Store()
	return store, layer, err
}
