package fileset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// ImportState imports by "name", by "name:directory" or by identity. Read sets the other attributes from Redis.
func (r *fileSetResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	if req.ID == "" {
		resource.ImportStatePassthroughWithIdentity(ctx, path.Root("name"), path.Root("name"), req, resp)
		return
	}
	name, directory, hasDirectory := strings.Cut(req.ID, ":")
	if workflow.CheckName(name) != "" || hasDirectory && directory == "" {
		resp.Diagnostics.AddError("Invalid import ID", fmt.Sprintf("The import ID %q is neither the name of a file set nor name:directory, with the directory of its files. Import by one of these.", req.ID))
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), name)...)
	if hasDirectory {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("directory"), directory)...)
	}
}

// setImported sets the attributes from Redis, which does not store where the files came from. If all files are text of limited size, they become `files`.
func (m *fileSetModel) setImported(ctx context.Context, set *files.Set) error {
	layer, content, err := set.Layer(ctx)
	if err != nil {
		return err
	}
	if layer == "" {
		return errNoSet
	}
	m.setContent(content)
	if !m.Directory.IsNull() {
		return nil
	}
	store, err := set.Store()
	if err != nil {
		return err
	}
	tree, err := store.Tree(ctx, layer)
	if err != nil || tree.Size() > stateLimit {
		return err
	}
	found := map[string]sourceModel{}
	for e := range tree.All() {
		if !e.IsFile() {
			continue
		}
		var text bytes.Buffer
		if err := store.Read(ctx, e, &text); err != nil {
			return err
		}
		if !utf8.Valid(text.Bytes()) {
			return nil
		}
		found[e.Path] = sourceModel{Content: types.StringValue(text.String()), SHA256: types.StringValue(e.SHA256.String())}
	}
	value, diags := types.MapValueFrom(ctx, m.Files.ElementType(ctx), found)
	if diags.HasError() {
		return errors.New("convert the stored files: " + diags[0].Detail())
	}
	m.Files = value
	return nil
}
