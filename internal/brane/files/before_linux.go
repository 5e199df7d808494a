package files

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
)

// before reads the restored entries in step with what is in the directory now: both are sorted by path.
type before struct {
	from   entries
	stamps io.Reader // nil: there are no stamps
	reads  Patterns
	trust  int64
	now    known // the next entry
	more   bool
}

// known is an entry of before.
type known struct {
	*Entry
	stamp  stamp
	hidden bool // it was not restored, so its absence does not mean that the step removed it
}

func (s *Store) readBefore(ctx context.Context, staged *Staged) (*before, error) {
	if staged == nil || staged.Layer == "" {
		return &before{}, nil
	}
	from, err := s.openEntries(ctx, staged.Layer)
	if err != nil {
		return nil, fmt.Errorf("read the restored files: %w", err)
	}
	b := &before{from: from, reads: staged.Reads, trust: staged.Trusted}
	if staged.Stamps != nil {
		b.stamps = bufio.NewReaderSize(io.NewSectionReader(staged.Stamps, 0, math.MaxInt64), 64<<10)
	}
	return b, b.readNext()
}

func (b *before) readNext() error {
	e, err := b.from.next()
	if b.more = err == nil; !b.more {
		if errors.Is(err, errEnd) {
			return nil
		}
		return fmt.Errorf("read the restored files: %w", err)
	}
	b.now = known{Entry: e}
	if b.stamps == nil {
		b.now.hidden = !b.reads.Match(e.Path)
		return nil
	}
	var text [stampSize]byte
	if _, err := io.ReadFull(b.stamps, text[:]); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the stamps of the files: %w", err)
	}
	b.now.stamp = parseStamp(text[:])
	b.now.hidden = b.now.stamp == stamp{}
	return nil
}

// advanceTo returns the restored entry at a path, without an Entry if there was none. It calls missing for the entries before it.
func (b *before) advanceTo(name string, missing func(known) error) (known, error) {
	for b.more && b.now.Path < name {
		if err := missing(b.now); err != nil {
			return known{}, err
		}
		if err := b.readNext(); err != nil {
			return known{}, err
		}
	}
	if !b.more || b.now.Path != name {
		return known{}, nil
	}
	here := b.now
	return here, b.readNext()
}

// visitRest calls missing for all remaining entries.
func (b *before) visitRest(missing func(known) error) error {
	for b.more {
		if err := missing(b.now); err != nil {
			return err
		}
		if err := b.readNext(); err != nil {
			return err
		}
	}
	return nil
}

// isUntouched reports whether the file is as it was restored.
func (b *before) isUntouched(k known, now stamp) bool {
	return k.stamp.ctime != 0 && k.stamp.ctime < b.trust && k.stamp == now
}
