package files

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/redis/go-redis/v9"
)

// Layer is the id of a stored tree: 64 hex digits, the digest of the list of the manifest's chunks. It verifies every byte of every file.
type Layer string

// maxManifest is the number of chunks that one list can name: 16,131 MiB of manifest.
const maxManifest = ChunkSize / (2*len(Digest{}) + 1)

// PutTree writes a manifest; the chunks of the files must be stored before.
func (s *Store) PutTree(ctx context.Context, t Tree) (Layer, error) {
	stored, _, err := s.putManifest(ctx, t)
	if err != nil {
		return "", fmt.Errorf("store the list of files: %w", err)
	}
	return stored.Layer, nil
}

// putManifest writes the manifest's chunks and then their list. It returns all digests that it wrote.
func (s *Store) putManifest(ctx context.Context, t Tree) (Stored, []Digest, error) {
	return s.putEntries(ctx, func(_ context.Context, add func(*Entry) error) error {
		for _, e := range t.entries {
			if err := add(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// putEntries is putManifest for entries that produce creates in their order.
func (s *Store) putEntries(ctx context.Context, produce func(ctx context.Context, add func(*Entry) error) error) (Stored, []Digest, error) {
	var parts stream
	content := newDescription()
	err := s.runUpload(ctx, func(u *upload) error {
		parts.upload = u
		// A manifest mostly consists of digests in hex and similar names. Without compression, the manifest of 10,000 small files takes 5 % of
		// their memory.
		packed, err := gzip.NewWriterLevel(&parts, gzip.BestSpeed)
		if err != nil {
			return err
		}
		w, err := newManifestWriter(packed)
		if err != nil {
			return err
		}
		err = produce(u.ctx, func(e *Entry) error {
			content.addEntry(e)
			return w.addEntry(e)
		})
		if err != nil {
			return err
		}
		if err := packed.Close(); err != nil {
			return err
		}
		parts.releaseChunk()
		return nil
	})
	if err != nil {
		return Stored{}, nil, err
	}
	if len(parts.sent) > maxManifest {
		return Stored{}, nil, errors.New("there are too many files for one manifest")
	}
	var list bytes.Buffer
	digests := append([]Digest(nil), parts.listDigests(0, int64(len(parts.sent)))...)
	for _, d := range digests {
		fmt.Fprintln(&list, d)
	}
	id := digestOf(list.Bytes())
	if err := s.putChunk(ctx, id, list.Bytes()); err != nil {
		return Stored{}, nil, err
	}
	return Stored{Layer(id.String()), content.digest()}, append(digests, id), nil
}

// Tree reads the tree of a layer. If it cannot, the error wraps [ErrGone], [ErrCorrupt] or [ErrNewer].
func (s *Store) Tree(ctx context.Context, layer Layer) (Tree, error) {
	r, err := s.openEntries(ctx, layer)
	if err != nil {
		return Tree{}, err
	}
	return collectTree(r)
}

// layerReader reads the entries of a layer in order.
type layerReader struct {
	layer    Layer
	manifest *manifestReader
}

func (s *Store) openEntries(ctx context.Context, layer Layer) (*layerReader, error) {
	parts, err := s.manifestParts(ctx, layer)
	if err != nil {
		return nil, err
	}
	manifest, err := newManifestReader(&unpacked{chunks: &chunkReader{ctx: ctx, store: s, rest: parts}})
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", layer.shortText(), err)
	}
	return &layerReader{layer, manifest}, nil
}

func (r *layerReader) next() (*Entry, error) {
	e, err := r.manifest.next()
	if err != nil && !errors.Is(err, errEnd) {
		err = fmt.Errorf("layer %s: %w", r.layer.shortText(), err)
	}
	return e, err
}

func (l Layer) shortText() string { return string(l[:min(len(l), 12)]) }

func (s *Store) manifestParts(ctx context.Context, layer Layer) ([]Digest, error) {
	id, err := ParseDigest(string(layer))
	if err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	buffer, release := s.acquireBuffer()
	defer release()
	list, err := s.getChunk(ctx, id, buffer)
	if err != nil {
		return nil, fmt.Errorf("layer %s: %w", layer.shortText(), err)
	}
	var parts []Digest
	for text := range bytes.Lines(list) {
		d, err := ParseDigest(string(bytes.TrimSuffix(text, []byte("\n"))))
		if err != nil {
			return nil, fmt.Errorf("layer %s %w: %w", layer.shortText(), ErrCorrupt, err)
		}
		parts = append(parts, d)
	}
	return parts, nil
}

// unpacked reads the decompressed manifest from its chunks.
type unpacked struct {
	chunks *chunkReader
	zip    *gzip.Reader
}

func (r *unpacked) Read(p []byte) (n int, err error) {
	if r.zip == nil {
		r.zip, err = gzip.NewReader(r.chunks)
	}
	if err == nil {
		n, err = r.zip.Read(p)
	}
	if err == nil || errors.Is(err, io.EOF) && r.zip != nil || r.chunks.failed != nil {
		return n, err
	}
	return n, fmt.Errorf("manifest %w: %w", ErrCorrupt, err)
}

// chunkReader reads and verifies chunks in order. It allocates the size of a chunk, not the maximum: the union of many small layers reads
// all concurrently.
type chunkReader struct {
	ctx    context.Context //nolint:containedctx // an io.Reader has no other way
	store  *Store
	rest   []Digest
	unread []byte
	failed error // nil at the end
}

func (r *chunkReader) Read(p []byte) (int, error) {
	for len(r.unread) == 0 {
		if len(r.rest) == 0 {
			return 0, io.EOF
		}
		if err := r.readNext(); err != nil {
			r.failed = err
			return 0, err
		}
	}
	n := copy(p, r.unread)
	r.unread = r.unread[n:]
	return n, nil
}

func (r *chunkReader) readNext() error {
	buffer, release := r.store.acquireBuffer()
	defer release()
	content, err := r.store.getChunk(r.ctx, r.rest[0], buffer)
	r.unread, r.rest = bytes.Clone(content), r.rest[1:]
	return err
}

// SetInput records the layer that the steps without needs start with. The error is [ErrLost] if the server has lost what was stored for it.
func (s *Store) SetInput(ctx context.Context, layer Layer) error {
	return s.publishVerified(ctx, "write the reference to the inputs", func(ctx context.Context) error {
		return s.redis.SetArgs(ctx, s.keyOf("in"), string(layer), redis.SetArgs{ExpireAt: s.deadline}).Err()
	})
}

// Input returns the layer that SetInput recorded. The error wraps [ErrGone] if there is none.
func (s *Store) Input(ctx context.Context) (layer Layer, err error) {
	err = s.runCommand(ctx, "read the reference to the inputs", func(ctx context.Context) error {
		text, err := s.redis.Get(ctx, s.keyOf("in")).Result()
		layer = Layer(text)
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("run %s: the reference to the inputs %w", s.run, ErrGone)
	}
	return layer, err
}
