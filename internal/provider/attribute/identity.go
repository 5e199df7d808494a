package attribute

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Identity identifies a resource in one of the clusters of the provider. Operations set it first, because Terraform requires an identity also after an apply
// that ends early.
type Identity struct {
	Name    types.String `tfsdk:"name"`
	Cluster types.String `tfsdk:"cluster"`
}

// NewIdentitySchema returns the schema of an identity. name is the description of the name.
func NewIdentitySchema(name string) identityschema.Schema {
	return identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"name":    identityschema.StringAttribute{Description: name, RequiredForImport: true},
		"cluster": identityschema.StringAttribute{Description: "Name of the cluster, if it is a key of `clusters` in the provider block.", OptionalForImport: true},
	}}
}

// ImportByName imports a resource by "name", by "cluster/name" if it is in one of `clusters`, or by its identity.
func ImportByName(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	var of Identity
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.Get(ctx, &of)...)
	} else {
		cluster, name, found := strings.Cut(req.ID, "/")
		if !found {
			cluster, name = "", req.ID
		}
		if name == "" || found && cluster == "" {
			resp.Diagnostics.AddError("Invalid import ID", fmt.Sprintf("The import ID %q is neither a name nor cluster/name, with a key of clusters in the provider block. Import by name, or by cluster/name.", req.ID))
			return
		}
		of = Identity{types.StringValue(name), StringOrNull(cluster)}
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), of.Name)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("cluster"), of.Cluster)...)
}
