package files

import (
	"errors"
	"fmt"
	"strings"
)

// Errors about the server. [Check] and every operation on a [Store] wrap them.
var (
	// ErrUnreachable means that no server answers at the address, or that it stopped answering.
	ErrUnreachable = errors.New("redis cannot be reached")
	// ErrPassword means that the server rejects the user name or password.
	ErrPassword = errors.New("redis refuses the user name or password")
	// ErrForbidden means that the user may not run a command or access a key that the package needs.
	ErrForbidden = errors.New("the redis user lacks a permission")
	// ErrEvicts means that the server would silently delete files when its memory is full. The caller may continue anyway.
	ErrEvicts = errors.New("redis may evict files when its memory is full")
	// ErrTooOld means that the server lacks SET NX GET, which Redis 7.0 introduced.
	ErrTooOld = errors.New("redis is too old")
	// ErrFull means that the server has no memory left; nothing was published.
	ErrFull = errors.New("redis has no memory left")
)

// ignoreForbidden drops [ErrForbidden], for commands that the user need not be allowed to run.
func ignoreForbidden(err error) error {
	if errors.Is(err, ErrForbidden) {
		return nil
	}
	return err
}

// Errors about stored data.
var (
	// ErrGone means that a layer, a chunk or the input does not exist: its deadline has passed, or it was deleted.
	ErrGone = errors.New("is not in redis any more")
	// ErrCorrupt means that stored data does not match its digest, or is not a valid manifest.
	ErrCorrupt = errors.New("is corrupt")
	// ErrNewer means that the data has a newer format, which only a newer provider or agent can read.
	ErrNewer = errors.New("was written in a newer format")
)

// MissingError lists the paths that a tree does not have.
type MissingError struct{ Paths []string }

func (e *MissingError) Error() string {
	return "no such file: " + quoteList(e.Paths)
}

// FullError means that the inputs are larger than the memory the server has left. It is detected before anything is sent.
type FullError struct{ Need, Free int64 }

func (e *FullError) Error() string {
	return fmt.Sprintf("the files need %s of memory, redis has %s left (maxmemory)", formatMebibytes(e.Need), formatMebibytes(e.Free))
}

// Is reports whether the target is [ErrFull].
func (e *FullError) Is(target error) bool { return target == ErrFull }

// FileError means that a local file cannot be stored as it is.
type FileError struct{ Path, Reason string }

func (e *FileError) Error() string { return fmt.Sprintf("file %q %s", e.Path, e.Reason) }

func formatMebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// quoteList quotes the first names and counts the others, so that a diagnostic stays short.
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
