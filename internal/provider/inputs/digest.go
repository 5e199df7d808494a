package inputs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// planDigest plans an input's sha256 from its content or its file, so that the plan shows which inputs have changed.
type planDigest struct{}

func (planDigest) Description(context.Context) string {
	return "the digest of the content or of the file"
}
func (d planDigest) MarkdownDescription(ctx context.Context) string { return d.Description(ctx) }

func (planDigest) PlanModifyString(ctx context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	var model Model
	input := req.Path.ParentPath()
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, input.AtName("content"), &model.Content)...)
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, input.AtName("source"), &model.Source)...)
	if set := input.ParentPath(); set.Equal(path.Root("inputs")) { // a file set has no inputs from file sets
		resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, input.AtName("file_set"), &model.FileSet)...)
	}
	if resp.Diagnostics.HasError() || model.FileSet.IsUnknown() || model.Content.IsUnknown() || model.Source.IsUnknown() {
		return
	}
	// A file that is not readable is reported once, when the id of the run is computed.
	if digest, err := model.Digest(); err == nil {
		resp.PlanValue = types.StringValue(digest)
	}
}

// DigestWriter forwards what is written and computes its digest.
type DigestWriter struct {
	to   io.Writer
	hash hash.Hash
}

// NewDigestWriter returns a writer that forwards to another one.
func NewDigestWriter(to io.Writer) *DigestWriter { return &DigestWriter{to, sha256.New()} }

// Write implements [io.Writer].
func (w *DigestWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.hash.Write(p[:n]) // never fails
	return n, err
}

// HexDigest returns the digest of what was written, in hexadecimal.
func (w *DigestWriter) HexDigest() string { return hex.EncodeToString(w.hash.Sum(nil)) }

// fileDigest computes the digest of a file. It streams the file, which may be larger than memory.
func fileDigest(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	digest := NewDigestWriter(io.Discard)
	_, err = io.Copy(digest, file)
	return digest.HexDigest(), err
}
