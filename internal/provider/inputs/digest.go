package inputs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

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

// settled is how long ago a file must have been written for its digest to be kept. If it is written again within one tick of the file system's clock,
// which can be two seconds long, its time does not change.
const settled = 2 * time.Second

// digestCache keeps the digests of files, because a plan needs each of them several times.
type digestCache struct {
	mu    sync.Mutex
	files map[string]*cachedDigest // by path
}

// cachedDigest is the digest of a file in the state that info describes.
type cachedDigest struct {
	mu     sync.Mutex // held while the file is read, so that concurrent callers wait for one read
	info   fs.FileInfo
	digest string
}

// digests keeps the digests of source files until the process ends, which is after one plan or apply.
var digests = digestCache{files: map[string]*cachedDigest{}}

// fileDigest returns the digest of a file. It reads the file only if it has changed since the last call.
func (c *digestCache) fileDigest(name string) (string, error) {
	c.mu.Lock()
	cached := c.files[name]
	if cached == nil {
		cached = &cachedDigest{}
		c.files[name] = cached
	}
	c.mu.Unlock()
	cached.mu.Lock()
	defer cached.mu.Unlock()
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	before, err := file.Stat()
	if err != nil {
		return "", err
	}
	if isSameState(cached.info, before) {
		return cached.digest, nil
	}
	digest := NewDigestWriter(io.Discard)
	if _, err := io.Copy(digest, file); err != nil { // the file may be larger than memory
		return "", err
	}
	cached.info = nil
	if after, err := file.Stat(); err == nil && isSameState(before, after) && time.Since(after.ModTime()) > settled {
		cached.info, cached.digest = after, digest.HexDigest()
	}
	return digest.HexDigest(), nil
}

// isSameState reports whether a file was not changed between two times.
func isSameState(before, after fs.FileInfo) bool {
	return before != nil && after.Mode().IsRegular() && os.SameFile(before, after) && before.Size() == after.Size() && before.ModTime().Equal(after.ModTime())
}
