package fileset

import (
	"context"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// ownerKey is the key of the private data that holds the owner with which this resource has stored the set.
const ownerKey = "owner"

// privateReader and privateWriter are what this package needs of the private data of a resource.
type (
	privateReader interface {
		GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	}
	privateWriter interface {
		SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
	}
)

// readOwner returns the owner in the private data, empty if there is none.
func readOwner(ctx context.Context, private privateReader, diags *diag.Diagnostics) string {
	text, problems := private.GetKey(ctx, ownerKey)
	diags.Append(problems...)
	owner, _ := strconv.Unquote(string(text)) // an empty one is none
	return owner
}

// writeOwner writes the owner into the private data.
func writeOwner(ctx context.Context, private privateWriter, owner string, diags *diag.Diagnostics) {
	diags.Append(private.SetKey(ctx, ownerKey, []byte(strconv.Quote(owner)))...)
}

// adoptOwner lets an imported resource own the set as it is stored, if it has an owner.
func adoptOwner(ctx context.Context, set *files.Set, private privateWriter, diags *diag.Diagnostics) error {
	owner, err := set.StoredOwner(ctx)
	if err == nil && owner != "" {
		writeOwner(ctx, private, owner, diags)
	}
	return err
}
