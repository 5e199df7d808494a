package files

import (
	"encoding/binary"
	"io"
	"time"
)

// Staged describes the files that a step starts with. [Store.Restore] restores them, [Store.Snapshot] compares against them.
type Staged struct {
	Layer Layer
	Reads Patterns // the paths that are restored; none: all
	// Stamps holds the file system's metadata of each restored file. Restore writes it and Snapshot reads it, so that Snapshot need not read
	// every file. Without it, Snapshot does, and cannot distinguish a directory above a selected path from one that the step has made. It is
	// not kept in memory, as nothing is that grows with the number of files.
	Stamps Stamps
	// Trusted is a time in nanoseconds since 1970. Only the stamps of files that were restored before it can show whether a file was changed.
	Trusted int64
}

// Stamps stores stamps, as an empty file does.
type Stamps interface {
	io.ReaderAt
	io.WriterAt
}

// stamp identifies one state of a file: no program can set a file's ctime back. The zero stamp means that the file was not restored.
type stamp struct {
	inode uint64
	ctime int64 // nanoseconds; 0 if it is not a file
}

// stampSize is the size of one stamp in Stamps, which has one for each entry of the layer.
const stampSize = 16

func (s stamp) appendTo(to []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(to, s.inode), uint64(s.ctime)) //nolint:gosec // the same bits
}

func parseStamp(text []byte) stamp {
	return stamp{binary.LittleEndian.Uint64(text), int64(binary.LittleEndian.Uint64(text[8:]))} //nolint:gosec // the same bits
}

// clockTick is longer than one tick of the coarsest clock that a file system takes ctime from (100 Hz). A file that is written again within
// the tick of its stamp may keep its ctime, so the stamps of the last tick are not trusted, and Snapshot reads those files again.
const clockTick = 20 * time.Millisecond

// readAgain is the size above which Restore waits for the tick to pass instead of having the file read again.
const readAgain = 16 << 20
