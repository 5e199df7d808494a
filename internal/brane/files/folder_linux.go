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

// Thousands of small files cost little more than their system calls, so these are as few as can be: no poller, no path looked up twice. A name has no
// slash and no link is followed, hence nothing outside the folder is reached.

// openFolder opens a folder in a folder.
func openFolder(in *os.File, name string) (*os.File, error) {
	fd, err := again(func() (int, error) {
		return unix.Openat(int(in.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// status asks for a name in a folder.
func status(in *os.File, name string) (stat unix.Stat_t, err error) {
	_, err = again(func() (int, error) { return 0, unix.Fstatat(int(in.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return stat, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return stat, nil
}

// modeOf is a mode as Go has it, as far as a tree has it.
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

// statusOf is the stamp of an open file.
func statusOf(f *os.File) (stamp, error) {
	var stat unix.Stat_t
	if _, err := again(func() (int, error) { return 0, unix.Fstat(int(f.Fd()), &stat) }); err != nil {
		return stamp{}, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return stampOf(stat), nil
}

func stampOf(stat unix.Stat_t) stamp { return stamp{stat.Ino, stat.Ctim.Nano()} }

// listing is what is in a folder. There may be millions of names, so they lie in one piece.
type listing struct {
	names []byte
	all   []listed
}

type listed struct {
	from   uint32
	length uint16
	kind   uint8 // as the system calls it
	enter  bool  // it stands for what is in the folder, not for the folder itself
}

// list reads a folder, in the order that the paths have in a tree: what is in a folder "a" comes after a file "a-b" beside it, as "/" comes after "-".
func list(folder *os.File) (*listing, error) {
	l := &listing{}
	buffer := make([]byte, 64<<10)
	for {
		n, err := again(func() (int, error) { return unix.Getdents(int(folder.Fd()), buffer) })
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: folder.Name(), Err: err}
		}
		if n == 0 {
			break
		}
		if err := l.add(folder, buffer[:n]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(l.all, func(a, b listed) int { return bytes.Compare(l.key(a), l.key(b)) })
	return l, nil
}

// add takes over what the system has said: for each name 8 bytes of inode, 8 of position, 2 of its own length, 1 of kind, and the name, ended by a zero byte.
func (l *listing) add(folder *os.File, said []byte) error {
	const head = 19
	for len(said) > head {
		length := int(binary.NativeEndian.Uint16(said[16:]))
		kind, name := said[18], said[head:length]
		name = name[:bytes.IndexByte(name, 0)]
		said = said[length:]
		if string(name) == "." || string(name) == ".." {
			continue
		}
		if kind == unix.DT_UNKNOWN { // some file systems do not tell
			stat, err := status(folder, string(name))
			if err != nil {
				return err
			}
			kind = uint8(stat.Mode & unix.S_IFMT >> 12)
		}
		if len(l.names) > math.MaxUint32-2*len(name) {
			return fmt.Errorf("folder %q has too many entries", folder.Name())
		}
		here := listed{from: uint32(len(l.names)), length: uint16(len(name)), kind: kind} //nolint:gosec // no name is as long
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

func (l *listing) name(n listed) []byte { return l.names[n.from : n.from+uint32(n.length)] }

// key is what the name is sorted by.
func (l *listing) key(n listed) []byte {
	if n.enter {
		return l.names[n.from : n.from+uint32(n.length)+1]
	}
	return l.name(n)
}

// smallFile is an open file of at most a chunk.
type smallFile struct {
	fd   int
	mode fs.FileMode
	size int64
}

// openSmall opens a file of a folder. ok is false where it is not a regular file or a large one; that is for the caller's other way.
func openSmall(folder *os.File, name string) (f smallFile, ok bool, err error) {
	f.fd, err = again(func() (int, error) {
		return unix.Openat(int(folder.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
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
	_ = unix.Close(f.fd) // it was only read
}

// read fills the parts and closes the file.
func (f smallFile) read(into ...[]byte) error {
	defer f.close()
	for _, part := range into {
		for len(part) > 0 {
			n, err := again(func() (int, error) { return unix.Read(f.fd, part) })
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

// createSmall writes a whole file into a folder.
func createSmall(folder *os.File, name string, mode fs.FileMode, content []byte) (s stamp, err error) {
	fd, err := again(func() (int, error) {
		return unix.Openat(int(folder.Fd()), name, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode.Perm()))
	})
	if err != nil {
		return stamp{}, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	for rest := content; len(rest) > 0; {
		n, err := again(func() (int, error) { return unix.Write(fd, rest) })
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
	if want := unixMode(mode); stat.Mode&0o7777 != want { // the umask has taken something, or there is a bit that only chmod sets
		if err := errors.Join(unix.Fchmod(fd, want), unix.Fstat(fd, &stat)); err != nil {
			return stamp{}, err
		}
	}
	return stampOf(stat), nil
}

// again repeats a system call that a signal has interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
