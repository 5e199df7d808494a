package files

import (
	"encoding/binary"
	"io"
	"time"
)

// Staged is what a step begins with. [Store.Restore] restores it, [Store.Snapshot] compares against it.
type Staged struct {
	Layer Layer
	Reads Patterns // what is restored; none: everything
	// Stamps are what the file system said of each file when it was restored: Restore writes them and Snapshot reads them, so that it need not read
	// every file. Without them it does. They are not kept in memory, as nothing is that grows with the number of files.
	Stamps Stamps
	// Trusted is the time before which a file must have been restored for its stamp to tell whether it was touched, in nanoseconds since 1970.
	Trusted int64
}

// Stamps are an empty file.
type Stamps interface {
	io.ReaderAt
	io.WriterAt
}

// stamp tells whether a file was touched: no program can set a file's ctime back. The zero stamp is that of what was not restored.
type stamp struct {
	inode uint64
	ctime int64 // nanoseconds; 0 of what is no file
}

// stampSize is that of one stamp in Stamps, which has one for each entry of the layer.
const stampSize = 16

func (s stamp) append(to []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(to, s.inode), uint64(s.ctime)) //nolint:gosec // the same bits
}

func stampFrom(text []byte) stamp {
	return stamp{binary.LittleEndian.Uint64(text), int64(binary.LittleEndian.Uint64(text[8:]))} //nolint:gosec // the same bits
}

// clockTick is more than the coarsest clock a file system takes ctime from (100 Hz). A file that is written to within the
// tick of its stamp may keep its ctime, so the stamps of the last tick are not trusted and these files are read again.
const clockTick = 20 * time.Millisecond

// readAgain is the size of a file above which Restore rather lets the tick pass than have it read again.
const readAgain = 16 << 20
