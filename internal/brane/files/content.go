package files

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"strconv"
	"strings"
)

// Stored is a stored tree.
type Stored struct {
	Layer Layer
	// Content is the [ShortDigest] of the description of the tree, without the steps that wrote its entries and without the places of its files
	// in chunks: two trees have the same one if no program can distinguish them. Empty means unknown.
	Content string
}

// description digests the canonical description of entries. It consists of the following fields for each entry, each followed by a zero byte,
// which no path and no target contains:
//
//   - the path
//   - "d" for a directory, "l" for a symbolic link, "f" for a file
//   - the target of a link; otherwise the mode in octal digits, with setuid, setgid and sticky as in chmod
//   - of a file, the size in decimal digits
//   - of a file of 1 to ChunkSize bytes, the SHA-256 of its content
//   - of a larger file, 0 and the digest of each of its chunks
//
// The chunks of a larger file begin with the file, so they depend only on its content. Only another program can write a smaller file without a
// SHA-256, or a larger one that does not begin with its first chunk. These are described by the offset in the first chunk and the digests of the
// chunks, so that different content always has different descriptions.
type description struct {
	to   hash.Hash
	line []byte // its memory is used again
}

func newDescription() *description { return &description{to: sha256.New()} }

func (d *description) addEntry(e *Entry) {
	d.line = d.line[:0]
	d.addField(e.Path)
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		d.addField("l")
		d.addField(e.Link)
	case e.Mode.IsDir():
		d.addField("d")
		d.addMode(e.Mode)
	default:
		d.addField("f")
		d.addMode(e.Mode)
		d.addContent(e)
	}
	d.to.Write(d.line)
}

func (d *description) addField(text string) { d.line = append(append(d.line, text...), 0) }

func (d *description) addMode(mode fs.FileMode) {
	d.line = append(strconv.AppendUint(d.line, uint64(unixMode(mode)), 8), 0)
}

// addContent describes the content of a file.
func (d *description) addContent(e *Entry) {
	d.line = append(strconv.AppendInt(d.line, e.Size, 10), 0)
	switch {
	case e.Size == 0:
	case e.Size <= ChunkSize && !e.SHA256.IsZero():
		d.addField(e.SHA256.String())
	default:
		d.line = append(strconv.AppendInt(d.line, e.Offset, 10), 0)
		for _, chunk := range e.Chunks {
			d.addField(chunk.String())
		}
	}
}

// digest returns the [ShortDigest] of the description.
func (d *description) digest() string { return shortDigestOf(Digest(d.to.Sum(nil))) }

// DigestView returns the [ShortDigest] of the description of what a step sees that starts with a layer: the entries that reads selects, and the
// directories above them. Such a directory, if it is not selected itself, comes immediately before the first selected entry in it. Without
// patterns the result is [Stored.Content].
func (s *Store) DigestView(ctx context.Context, layer Layer, reads Patterns) (string, error) {
	from, err := s.openEntries(ctx, layer)
	if err != nil {
		return "", fmt.Errorf("digest what the step sees: %w", err)
	}
	view := &view{reads: reads, take: newDescription()}
	for {
		e, err := from.next()
		if errors.Is(err, errEnd) {
			return view.take.digest(), nil
		}
		if err != nil {
			return "", fmt.Errorf("digest what the step sees: %w", err)
		}
		view.visitEntry(e)
	}
}

// view finds the entries that [Store.Restore] restores.
type view struct {
	reads Patterns
	take  *description
	above []*Entry // the directories that may contain the next entries and were not taken
}

func (v *view) visitEntry(e *Entry) {
	for len(v.above) > 0 && !strings.HasPrefix(e.Path, v.above[len(v.above)-1].Path) {
		v.above = v.above[:len(v.above)-1]
	}
	if !v.reads.Match(e.Path) {
		if e.Mode.IsDir() {
			v.above = append(v.above, e)
		}
		return
	}
	left := v.above[:0]
	for _, directory := range v.above {
		if strings.HasPrefix(e.Path[len(directory.Path):], "/") {
			v.take.addEntry(directory)
		} else {
			left = append(left, directory)
		}
	}
	v.above = left
	v.take.addEntry(e)
}
