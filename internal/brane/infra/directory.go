package infra

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Version is the Brane release that reads the files. It decides how they are replaced.
type Version string

// The Brane releases that run work on Kubernetes.
const (
	V04 Version = "0.4"
	V05 Version = "0.5"
	V06 Version = "0.6"
)

var versionRule = regexp.MustCompile(`^(0\.[456])(\.[0-9]+)?$`)

// ParseVersion parses a version, or a release such as 0.6.1.
func ParseVersion(text string) (Version, error) {
	found := versionRule.FindStringSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("use %s, %s or %s, or a release such as 0.6.1", V04, V05, V06)
	}
	return Version(found[1]), nil
}

const (
	lockFile = ".brane-config.lock"
	// lockRetry is the time between two attempts to get the lock: a write takes a few milliseconds.
	lockRetry = 5 * time.Millisecond
)

// DirectoryStore keeps the configuration files in a directory.
type DirectoryStore struct {
	dir        string
	inPlace    bool
	cache      parseCache
	beforeStep func(string) // called before each step of a write, so that a test can interrupt it there
}

// NewDirectoryStore returns a store in a directory, which must exist. Brane 0.6 mounts the directory, so a file is replaced by renaming another one. Brane
// 0.4 and 0.5 mount the two files one by one and would keep reading the old ones, so the file itself is overwritten there. Its old and new content are first
// written to a [journal] beside it, from which the next reader or writer completes an interrupted write.
func NewDirectoryStore(dir string, v Version) *DirectoryStore {
	return &DirectoryStore{dir: dir, inPlace: v == V04 || v == V05, beforeStep: func(string) {}}
}

// ErrNoDirectory reports that the directory of a [DirectoryStore] does not exist.
var ErrNoDirectory = errors.New("the directory does not exist")

func (s *DirectoryStore) String() string { return "directory " + s.dir }

// Read returns both files. If the lock file cannot be created, as in a directory that is mounted read-only, it reads without a lock.
func (s *DirectoryStore) Read(ctx context.Context) (Files, error) {
	unlock, err := s.lockDirectory(ctx)
	if err != nil && !errors.Is(err, fs.ErrPermission) && !isReadOnly(err) {
		return Files{}, err
	}
	if err == nil {
		defer unlock()
		if err := s.completeWrites(); err != nil {
			return Files{}, err
		}
	}
	return s.readFiles()
}

// Update changes the files while it holds the lock of the directory.
func (s *DirectoryStore) Update(ctx context.Context, change func(*Files) error) error {
	unlock, err := s.lockDirectory(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.completeWrites(); err != nil {
		return err
	}
	before, err := s.readFiles()
	if err != nil {
		return err
	}
	after := before.cloneForEdit()
	if err := change(&after); err != nil {
		return err
	}
	changed := changedFiles(before, after)
	for _, w := range changed {
		if err := s.writeFile(w); err != nil {
			return fmt.Errorf("write %s: %w", filepath.Join(s.dir, w.name), err)
		}
	}
	s.cache.keepWritten(after, changed)
	return nil
}

func (s *DirectoryStore) readFiles() (Files, error) {
	data := map[string][]byte{}
	for _, name := range []string{infraFile, secretsFile} {
		content, err := os.ReadFile(filepath.Join(s.dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return Files{}, err
		default:
			data[name] = append([]byte{}, content...) // never nil: the file is there
		}
	}
	return s.cache.parseFiles(data[infraFile], data[secretsFile])
}

// lockDirectory waits for the lock of the directory. The lock file is kept: removing it would race with other processes that wait for it.
func (s *DirectoryStore) lockDirectory(ctx context.Context) (func(), error) {
	info, err := os.Stat(s.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, ErrNoDirectory
	}
	if err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(s.dir, lockFile))
	if err := createLock(lock.Path(), info); err != nil {
		return nil, err
	}
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("wait for the lock %s: %w", lock.Path(), context.Cause(ctx))
		}
		return nil, err
	}
	// The error of closing a file that was never written to does not matter.
	return func() { _ = lock.Close() }, nil
}

func (s *DirectoryStore) writeFile(w changedFile) error {
	path, mode, err := s.resolveFile(w.name)
	if err != nil {
		return err
	}
	if s.inPlace {
		return s.overwriteFile(path, w.data, mode)
	}
	return s.replaceFile(path, path, w.data, mode)
}

// resolveFile returns the file of a name, with symbolic links resolved, and the mode to write it with: others may not read secrets.yml.
func (s *DirectoryStore) resolveFile(name string) (path string, mode fs.FileMode, err error) {
	path = filepath.Join(s.dir, name)
	mode = fs.FileMode(0o644)
	if name == secretsFile {
		mode = 0o600
	}
	linked, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, mode, nil
	}
	if err != nil {
		return "", 0, err
	}
	info, err := os.Stat(linked)
	if err != nil {
		return "", 0, err
	}
	mode = info.Mode().Perm()
	if name == secretsFile {
		mode &^= 0o007
	}
	return linked, mode, nil
}

// completeWrites completes interrupted writes. A journal is always complete, as it is created by renaming.
func (s *DirectoryStore) completeWrites() error {
	for _, name := range []string{secretsFile, infraFile} {
		path, mode, err := s.resolveFile(name)
		if err != nil {
			return err
		}
		if err := removeLeftovers(path); err != nil {
			return err
		}
		if err := s.completeWrite(path, mode); err != nil {
			return fmt.Errorf("complete the interrupted write of %s: %w", path, err)
		}
	}
	return nil
}

// removeLeftovers removes the temporary files of writers that were killed. The holder of the lock is the only writer.
func removeLeftovers(path string) error {
	for _, target := range []string{path, journalPath(path)} {
		leftovers, err := filepath.Glob(filepath.Join(escapeGlob(filepath.Dir(target)), temporaryPattern(target)))
		if err != nil {
			return err
		}
		for _, leftover := range leftovers {
			if err := removeUnused(leftover); err != nil {
				return err
			}
		}
	}
	return nil
}

// temporaryPattern returns the pattern of the names of a file's temporary files.
func temporaryPattern(path string) string { return "." + filepath.Base(path) + ".*.tmp" }

var escapeGlob = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace

// replaceFile replaces a file: it writes a temporary file beside it, with the owner of an existing file, syncs that to disk, and renames it.
func (s *DirectoryStore) replaceFile(path, existing string, data []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	s.beforeStep("create " + filepath.Base(path))
	f, err := os.CreateTemp(dir, temporaryPattern(path))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	mode, err = keepOwner(f, existing, mode)
	if err != nil {
		return err
	}
	if err := f.Chmod(mode); err != nil {
		return err
	}
	s.beforeStep("fill " + filepath.Base(path))
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s.beforeStep("rename " + filepath.Base(path))
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDirectory(dir)
}
