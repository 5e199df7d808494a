package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Thousands of small files cost little more than their system calls, so these are as few as can be: no poller, no path looked up twice. A name has no
// slash and no link is followed, hence nothing outside the folder is reached.

// smallFile is an open file of at most a chunk.
type smallFile struct {
	fd   int
	mode fs.FileMode
	size int64
}

// openSmall opens a file of a folder. ok is false where it is no regular file or a large one; that is for the caller's other way.
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

// createSmall writes a whole file into a folder; ok is always true on Linux.
func createSmall(folder *os.File, name string, mode fs.FileMode, content []byte) (stamp Stamp, ok bool, err error) {
	fd, err := again(func() (int, error) {
		return unix.Openat(int(folder.Fd()), name, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(mode.Perm()))
	})
	if err != nil {
		return Stamp{}, true, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	for rest := content; len(rest) > 0; {
		n, err := again(func() (int, error) { return unix.Write(fd, rest) })
		if err != nil {
			return Stamp{}, true, fmt.Errorf("write %s: %w", name, err)
		}
		if n == 0 {
			return Stamp{}, true, io.ErrShortWrite
		}
		rest = rest[n:]
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return Stamp{}, true, err
	}
	if want := unixMode(mode); stat.Mode&0o7777 != want { // the umask has taken something, or there is a bit that only chmod sets
		if err := errors.Join(unix.Fchmod(fd, want), unix.Fstat(fd, &stat)); err != nil {
			return Stamp{}, true, err
		}
	}
	return Stamp{Inode: stat.Ino, CTime: stat.Ctim.Nano()}, true, nil
}

// again repeats a system call that a signal has interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
