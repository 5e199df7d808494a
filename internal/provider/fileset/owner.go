package fileset

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// ownerKey is the key of the private data that holds the owners of the set that this resource stands for: one, or several if it was imported.
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

// readOwners returns the owners in the private data, none if it has none.
func readOwners(ctx context.Context, private privateReader, diags *diag.Diagnostics) []string {
	text, problems := private.GetKey(ctx, ownerKey)
	diags.Append(problems...)
	owners, _ := strconv.Unquote(string(text)) // an empty one is none
	return strings.Fields(owners)
}

// writeOwners writes the owners into the private data.
func writeOwners(ctx context.Context, private privateWriter, owners []string, diags *diag.Diagnostics) {
	diags.Append(private.SetKey(ctx, ownerKey, []byte(strconv.Quote(strings.Join(owners, " "))))...)
}

// adoptOwners lets an imported resource own the set as it is stored, if it has owners.
func adoptOwners(ctx context.Context, set *files.Set, private privateWriter, diags *diag.Diagnostics) error {
	owners, err := set.Owners(ctx)
	if err == nil && len(owners) > 0 {
		writeOwners(ctx, private, owners, diags)
	}
	return err
}

// addOwners adds the owners of this resource to those of the set.
func addOwners(ctx context.Context, set *files.Set, own []string) error {
	owners, err := set.Owners(ctx)
	if err != nil {
		return err
	}
	others := otherOwners(owners, own)
	if len(owners) == len(others)+len(own) {
		return nil // the set has them
	}
	return set.SetOwners(ctx, append(others, own...))
}

// otherOwners returns the owners that are not those of this resource.
func otherOwners(owners, own []string) []string {
	return slices.DeleteFunc(slices.Clone(owners), func(owner string) bool { return slices.Contains(own, owner) })
}
