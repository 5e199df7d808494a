package files

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"sync"
)

// Read writes the content of a file to w. It verifies each chunk before it writes its bytes.
func (s *Store) Read(ctx context.Context, e Entry, w io.Writer) error {
	if !e.IsFile() {
		return fmt.Errorf("run %s: read %q: it is a %s, not a file", s.run, e.Path, describeKind(e))
	}
	if err := e.checkFields(); err != nil {
		return fmt.Errorf("run %s: read: %w", s.run, err)
	}
	rest := e.Size
	return s.readChunksInOrder(ctx, e.Chunks, func(i int, content []byte) error {
		from := int64(0)
		if i == 0 {
			from = e.Offset
		}
		piece, err := slicePiece(content, from, min(rest, ChunkSize-from))
		if err != nil {
			return fmt.Errorf("chunk %s %w", e.Chunks[i].shortText(), err)
		}
		rest -= int64(len(piece))
		_, err = w.Write(piece)
		return err
	}, func(err error) error { return fmt.Errorf("read %q: %w", e.Path, err) })
}

// IsContent reports whether r returns the content of the file. It does not ask the server: it compares the file's digest or, without one,
// those of its chunks.
func (e Entry) IsContent(r io.Reader) (bool, error) {
	if !e.SHA256.IsZero() {
		all := sha256.New()
		_, err := io.Copy(all, r)
		return Digest(all.Sum(nil)) == e.SHA256, err
	}
	for _, d := range e.Chunks {
		one := sha256.New()
		if _, err := io.Copy(one, io.LimitReader(r, ChunkSize)); err != nil || Digest(one.Sum(nil)) != d {
			return false, err
		}
	}
	more, err := io.Copy(io.Discard, r)
	return more == 0, err
}

// fetched is a chunk that was read ahead.
type fetched struct {
	content []byte
	release func()
	err     error
}

// readChunksInOrder reads chunks ahead, several concurrently, and passes them to take in order. It passes errors through wrap. When it returns, all
// reading has ended.
func (s *Store) readChunksInOrder(ctx context.Context, chunks []Digest, take func(i int, content []byte) error, wrap func(error) error) error {
	ctx, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer stop()
	ahead := make([]chan fetched, len(chunks))
	ask := func(i int) {
		if i >= len(chunks) {
			return
		}
		ahead[i] = make(chan fetched, 1)
		readers.Go(func() {
			buffer, release := s.acquireBuffer()
			content, err := s.getChunk(ctx, chunks[i], buffer)
			ahead[i] <- fetched{content, release, err}
		})
	}
	for i := range s.workerCount() {
		ask(i)
	}
	for i := range chunks {
		chunk := <-ahead[i]
		ahead[i] = nil
		if chunk.err != nil {
			return wrap(chunk.err)
		}
		err := take(i, chunk.content)
		chunk.release()
		if err != nil {
			return wrap(err)
		}
		ask(i + s.workerCount())
	}
	return nil
}

// slicePiece returns a part of a chunk. The chunk's digest was verified, but the manifest may ask for more than the chunk has.
func slicePiece(content []byte, from, size int64) ([]byte, error) {
	if from < 0 || size < 0 || from+size > int64(len(content)) {
		return nil, fmt.Errorf("%w: it has %d bytes, the manifest wants %d from %d", ErrCorrupt, len(content), size, from)
	}
	return content[from : from+size], nil
}

func describeKind(e Entry) string {
	if e.Mode.IsDir() {
		return "directory"
	}
	return "symbolic link"
}
