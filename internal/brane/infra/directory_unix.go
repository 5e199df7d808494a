//go:build unix

package infra

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// keepOwner gives a new file the owner and the group of an existing one, as far as this process is permitted to: Brane may run as another user, and several
// users may share the directory. It returns the mode to give the file: if it has another group, that gets only the permissions of all users.
func keepOwner(f *os.File, existing string, mode fs.FileMode) (fs.FileMode, error) {
	info, err := os.Stat(existing)
	if errors.Is(err, fs.ErrNotExist) {
		return mode, nil
	}
	if err != nil {
		return 0, err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return mode, nil
	}
	err = f.Chown(int(stat.Uid), int(stat.Gid))
	if isRefused(err) {
		err = f.Chown(-1, int(stat.Gid))
	}
	if isRefused(err) {
		return mode&^0o070 | mode&0o007<<3, nil
	}
	return mode, err
}

// isRefused reports whether an owner cannot be set here: this process may not, its user namespace does not have the owner, or the file system has no owners.
func isRefused(err error) bool {
	return slices.ContainsFunc([]error{fs.ErrPermission, syscall.EINVAL, syscall.ENOTSUP, syscall.ENOSYS}, func(cause error) bool { return errors.Is(err, cause) })
}

// createLock creates the lock file of a directory, unless it exists. Those in the group of the directory who may replace files may take the lock as well.
func createLock(path string, dir fs.FileInfo) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	stat, ok := dir.Sys().(*syscall.Stat_t)
	if !ok || dir.Mode()&0o020 == 0 {
		return nil
	}
	err = f.Chown(-1, int(stat.Gid))
	if isRefused(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Chmod(0o660)
}

// syncDirectory syncs a rename to disk.
func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil // some network file systems cannot sync directories
	}
	return errors.Join(err, f.Close())
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
