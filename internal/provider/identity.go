package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// identity is by what Terraform knows again what is in one of the provider's clusters. An operation tells it before it waits for anything: an apply that ends
// early must leave an identity behind.
type identity struct {
	Name    types.String `tfsdk:"name"`
	Cluster types.String `tfsdk:"cluster"`
}

// identitySchema has the name of what is described so, and its cluster.
func identitySchema(name string) identityschema.Schema {
	return identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"name":    identityschema.StringAttribute{Description: name, RequiredForImport: true},
		"cluster": identityschema.StringAttribute{Description: "Name of the cluster, where it is one of the provider's `clusters`.", OptionalForImport: true},
	}}
}

// importNamed imports by "name", or by "cluster/name" for what is in one of `clusters`, or by the identity.
func importNamed(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	var of identity
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.Get(ctx, &of)...)
	} else {
		cluster, name, found := strings.Cut(req.ID, "/")
		if !found {
			cluster, name = "", req.ID
		}
		if name == "" || found && cluster == "" {
			resp.Diagnostics.AddError("Import id is not one", fmt.Sprintf("The id is %q; it must be the name, or cluster/name for what is in one of the provider's clusters.", req.ID))
			return
		}
		of = identity{types.StringValue(name), text(cluster)}
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), of.Name)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("cluster"), of.Cluster)...)
}
