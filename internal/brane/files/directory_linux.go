package files

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// For thousands of small files the system calls dominate, so this file keeps them few: it uses no poller and resolves no path twice. Names
// contain no slash and links are not followed, hence nothing outside the directory is accessed.

// openDirectory opens a directory in a directory.
func openDirectory(in *os.File, name string) (*os.File, error) {
	fd, err := retryInterrupted(func() (int, error) {
		return unix.Openat(int(in.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// statEntry returns the status of a name in a directory.
func statEntry(in *os.File, name string) (stat unix.Stat_t, err error) {
	_, err = retryInterrupted(func() (int, error) { return 0, unix.Fstatat(int(in.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return stat, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return stat, nil
}

// modeOf returns the mode in Go's notation, as far as a tree stores it.
func modeOf(stat unix.Stat_t) fs.FileMode {
	mode := goMode(stat.Mode & 0o7777)
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	default:
		mode |= fs.ModeDevice
	}
	return mode
}

// statFile returns the stamp of an open file.
func statFile(f *os.File) (stamp, error) {
	var stat unix.Stat_t
	if _, err := retryInterrupted(func() (int, error) { return 0, unix.Fstat(int(f.Fd()), &stat) }); err != nil {
		return stamp{}, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return stampOf(stat), nil
}

func stampOf(stat unix.Stat_t) stamp { return stamp{stat.Ino, stat.Ctim.Nano()} }

// listing is the content of a directory. It may have millions of names, so they are in one slice.
type listing struct {
	names []byte
	all   []listed
}

type listed struct {
	from   uint32
	length uint16
	kind   uint8 // DT_*, as the system reports it
	enter  bool  // it represents the content of the directory, not the directory itself
}

// listDirectory reads a directory in the order of the paths in a tree: the content of a directory "a" comes after a file "a-b" beside it, as "/"
// sorts after "-".
func listDirectory(directory *os.File) (*listing, error) {
	l := &listing{}
	buffer := make([]byte, 64<<10)
	for {
		n, err := retryInterrupted(func() (int, error) { return unix.Getdents(int(directory.Fd()), buffer) })
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: directory.Name(), Err: err}
		}
		if n == 0 {
			break
		}
		if err := l.addEntries(directory, buffer[:n]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(l.all, func(a, b listed) int { return bytes.Compare(l.sortKey(a), l.sortKey(b)) })
	return l, nil
}

// addEntries parses the result of getdents: for each name 8 bytes of inode, 8 of offset, 2 of record length, 1 of type, and the name, terminated
// by a zero byte.
func (l *listing) addEntries(directory *os.File, said []byte) error {
	const head = 19
	for len(said) > head {
		length := int(binary.NativeEndian.Uint16(said[16:]))
		kind, name := said[18], said[head:length]
		name = name[:bytes.IndexByte(name, 0)]
		said = said[length:]
		if string(name) == "." || string(name) == ".." {
			continue
		}
		if kind == unix.DT_UNKNOWN { // some file systems do not report it
			stat, err := statEntry(directory, string(name))
			if err != nil {
				return err
			}
			kind = uint8(stat.Mode & unix.S_IFMT >> 12)
		}
		if len(l.names) > math.MaxUint32-2*len(name) {
			return fmt.Errorf("directory %q has too many entries", directory.Name())
		}
		here := listed{from: uint32(len(l.names)), length: uint16(len(name)), kind: kind} //nolint:gosec // no name is that long
		l.names = append(l.names, name...)
		l.all = append(l.all, here)
		if kind == unix.DT_DIR {
			l.names = append(l.names, '/')
			here.enter = true
			l.all = append(l.all, here)
		}
	}
	return nil
}

func (l *listing) nameOf(n listed) []byte { return l.names[n.from : n.from+uint32(n.length)] }

// sortKey returns what the name is sorted by.
func (l *listing) sortKey(n listed) []byte {
	if n.enter {
		return l.names[n.from : n.from+uint32(n.length)+1]
	}
	return l.nameOf(n)
}

// smallFile is an open file of at most a chunk.
type smallFile struct {
	fd   int
	mode fs.FileMode
	size int64
}

// openSmall opens a file of a directory. ok is false if it is not a regular file or a large one, which the caller handles differently.
func openSmall(directory *os.File, name string) (f smallFile, ok bool, err error) {
	f.fd, err = retryInterrupted(func() (int, error) {
		return unix.Openat(int(directory.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) { // a link, or a socket
		return f, false, nil
	}
	if err != nil {
		return f, false, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	var stat unix.Stat_t
	if err := unix.Fstat(f.fd, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG || stat.Size > ChunkSize {
		f.close()
		return f, false, err
	}
	f.mode, f.size = goMode(stat.Mode&0o7777), stat.Size
	return f, true, nil
}

func (f smallFile) close() {
	_ = unix.Close(f.fd) // nothing was written
}

// readAndClose fills the slices and closes the file.
func (f smallFile) readAndClose(into ...[]byte) error {
	defer f.close()
	for _, part := range into {
		for len(part) > 0 {
			n, err := retryInterrupted(func() (int, error) { return unix.Read(f.fd, part) })
			if err != nil {
				return err
			}
			if n == 0 {
				return errChanged
			}
			part = part[n:]
		}
	}
	return nil
}

// createSmall writes a whole file into a directory.
func createSmall(directory *os.File, name string, mode fs.FileMode, content []byte) (s stamp, err error) {
	fd, err := retryInterrupted(func() (int, error) {
		return unix.Openat(int(directory.Fd()), name, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode.Perm()))
	})
	if err != nil {
		return stamp{}, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	for rest := content; len(rest) > 0; {
		n, err := retryInterrupted(func() (int, error) { return unix.Write(fd, rest) })
		if err != nil {
			return stamp{}, fmt.Errorf("write %s: %w", name, err)
		}
		if n == 0 {
			return stamp{}, io.ErrShortWrite
		}
		rest = rest[n:]
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return stamp{}, err
	}
	if want := unixMode(mode); stat.Mode&0o7777 != want { // the umask removed a bit, or only chmod can set one
		if err := errors.Join(unix.Fchmod(fd, want), unix.Fstat(fd, &stat)); err != nil {
			return stamp{}, err
		}
	}
	return stampOf(stat), nil
}

// retryInterrupted repeats a system call that a signal interrupted.
func retryInterrupted(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
