// Package inputs holds what file sets and the inputs of runs have in common: the schema of a map of files, its model, and digests. It is apart from package
// attribute, because it depends on the file store.
package inputs

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Model is one input file, or the files of a set.
type Model struct {
	Content types.String `tfsdk:"content"`
	Source  types.String `tfsdk:"source"`
	FileSet types.String `tfsdk:"file_set"`
	SHA256  types.String `tfsdk:"sha256"`
}

// ToSource returns where the content comes from.
func (m Model) ToSource() files.Source {
	switch {
	case !m.Content.IsNull():
		return files.Source{Content: []byte(m.Content.ValueString())}
	case !m.FileSet.IsNull():
		reference, err := files.ParseReference(m.FileSet.ValueString())
		if err == nil { // the schema rejects invalid ones
			return files.Source{Set: reference}
		}
	}
	return files.Source{Path: m.Source.ValueString()}
}

// Digest returns the SHA-256 digest of the content, in hexadecimal.
func (m Model) Digest() (string, error) {
	if !m.FileSet.IsNull() {
		reference, err := files.ParseReference(m.FileSet.ValueString())
		return reference.Content, err
	}
	if !m.Content.IsNull() {
		sum := sha256.Sum256([]byte(m.Content.ValueString()))
		return hex.EncodeToString(sum[:]), nil
	}
	return digests.fileDigest(m.Source.ValueString())
}
