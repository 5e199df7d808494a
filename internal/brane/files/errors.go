package files

import (
	"errors"
	"fmt"
	"strings"
)

// Facts about the server. [Check] and every operation on a [Store] wrap them.
var (
	// ErrUnreachable says that nothing answers at the address, or no longer.
	ErrUnreachable = errors.New("redis cannot be reached")
	// ErrPassword says that the server wants another user name or password.
	ErrPassword = errors.New("redis refuses the user name or password")
	// ErrForbidden says that the user may not run a command or touch a key that the file layer needs.
	ErrForbidden = errors.New("the redis user lacks a permission")
	// ErrEvicts says that a full server would drop files silently. Whoever knows better may go on.
	ErrEvicts = errors.New("redis may evict files when its memory is full")
	// ErrTooOld says that the server lacks SET NX GET, which came with Redis 7.0.
	ErrTooOld = errors.New("redis is too old")
	// ErrFull says that the server has no memory left; nothing was published.
	ErrFull = errors.New("redis has no memory left")
)

// ignoreForbidden is for what a user need not be allowed to do.
func ignoreForbidden(err error) error {
	if errors.Is(err, ErrForbidden) {
		return nil
	}
	return err
}

// Facts about what is stored.
var (
	// ErrGone says that a layer, a chunk or the input is not there: its deadline has passed, or somebody deleted it.
	ErrGone = errors.New("is not in redis any more")
	// ErrCorrupt says that what is stored is not what its digest says, or is no manifest.
	ErrCorrupt = errors.New("is corrupt")
	// ErrNewer says that a newer version of the format is stored; only a newer provider or agent can read it.
	ErrNewer = errors.New("was written in a newer format")
)

// MissingError says which paths a tree does not have.
type MissingError struct{ Paths []string }

func (e *MissingError) Error() string {
	return "no such file: " + quoteList(e.Paths)
}

// FullError says that inputs are larger than the memory the server has left. It is found before anything is sent.
type FullError struct{ Need, Free int64 }

func (e *FullError) Error() string {
	return fmt.Sprintf("the files need %s of memory, redis has %s left (maxmemory)", mebibytes(e.Need), mebibytes(e.Free))
}

// Is makes a FullError an [ErrFull].
func (e *FullError) Is(target error) bool { return target == ErrFull }

// FileError says that a file of this machine cannot be stored as it is.
type FileError struct{ Path, Reason string }

func (e *FileError) Error() string { return fmt.Sprintf("file %q %s", e.Path, e.Reason) }

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// quoteList is short even for thousands of names: a diagnostic is for reading.
func quoteList(names []string) string {
	const most = 10
	var quoted []string
	for _, name := range names[:min(len(names), most)] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	text := strings.Join(quoted, ", ")
	if len(names) > most {
		text += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return text
}
