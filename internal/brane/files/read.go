package files

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Read writes the content of a file to w, each chunk verified before its bytes are written.
func (s *Store) Read(ctx context.Context, e Entry, w io.Writer) error {
	if !e.IsFile() {
		return fmt.Errorf("run %s: read %q: it is a %s, not a file", s.run, e.Path, kind(e))
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("run %s: read: %w", s.run, err)
	}
	buffer, release := s.buffer()
	defer release()
	rest := e.Size
	for i, d := range e.Chunks {
		content, err := s.getChunk(ctx, d, buffer)
		if err != nil {
			return fmt.Errorf("read %q: %w", e.Path, err)
		}
		from := int64(0)
		if i == 0 {
			from = e.Offset
		}
		piece, err := cut(content, from, min(rest, ChunkSize-from))
		if err != nil {
			return fmt.Errorf("run %s: read %q: chunk %s %w", s.run, e.Path, d.short(), err)
		}
		if _, err := w.Write(piece); err != nil {
			return fmt.Errorf("read %q: %w", e.Path, err)
		}
		rest -= int64(len(piece))
	}
	return nil
}

// cut takes a piece out of a chunk. The chunk's digest was right, but the manifest may ask for more than there is.
func cut(content []byte, from, size int64) ([]byte, error) {
	if from < 0 || size < 0 || from+size > int64(len(content)) {
		return nil, fmt.Errorf("%w: it has %d bytes, the manifest wants %d from %d", ErrCorrupt, len(content), size, from)
	}
	return content[from : from+size], nil
}

func kind(e Entry) string {
	if e.Mode.IsDir() {
		return "folder"
	}
	return "symbolic link"
}

func ignoreForbidden(err error) error {
	if errors.Is(err, ErrForbidden) {
		return nil
	}
	return err
}
