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

// Version is the Brane release that reads the files: it decides how they are replaced.
type Version string

// The Brane releases that run work on Kubernetes.
const (
	V04 Version = "0.4"
	V05 Version = "0.5"
	V06 Version = "0.6"
)

var versionRule = regexp.MustCompile(`^(0\.[456])(\.[0-9]+)?$`)

// ParseVersion takes a version, or a release of it like 0.6.1.
func ParseVersion(text string) (Version, error) {
	found := versionRule.FindStringSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("write %s, %s or %s, or a release of them like 0.6.1", V04, V05, V06)
	}
	return Version(found[1]), nil
}

const (
	lockFile = ".brane-config.lock"
	// Between two tries to get the lock: a write takes a few milliseconds.
	lockRetry = 5 * time.Millisecond
)

// DirectoryStore keeps the documents as two files in a folder.
type DirectoryStore struct {
	dir        string
	inPlace    bool
	beforeStep func(string) // told before each step of a write, so that a test can die there
}

// Folder is a store in a folder that must be there. Brane 0.6 mounts the folder and sees a file that is put in another's place by renaming. Brane 0.4
// and 0.5 mount the two files one by one and would go on seeing the old one, so there the file itself is written over; what was to be written stands
// in a journal next to it meanwhile, and whoever comes next completes a write that was cut off.
func NewDirectoryStore(dir string, v Version) *DirectoryStore {
	return &DirectoryStore{dir: dir, inPlace: v == V04 || v == V05, beforeStep: func(string) {}}
}

// ErrNoDirectory says that there is no folder where a [DirectoryStore] should keep the documents.
var ErrNoDirectory = errors.New("there is no such folder")

func (s *DirectoryStore) String() string { return "folder " + s.dir }

// Read gives both documents. Where the lock file cannot be made, as in a folder that is only mounted for reading, it reads without.
func (s *DirectoryStore) Read(ctx context.Context) (Files, error) {
	unlock, err := s.lock(ctx)
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

// Update changes the documents while it holds the folder's lock.
func (s *DirectoryStore) Update(ctx context.Context, change func(*Files) error) error {
	unlock, err := s.lock(ctx)
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
	after := before.clone()
	if err := change(&after); err != nil {
		return err
	}
	for _, w := range changedFiles(before, after) {
		if err := s.writeFile(w); err != nil {
			return fmt.Errorf("write %s: %w", filepath.Join(s.dir, w.name), err)
		}
	}
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
	return parseFiles(data[infraFile], data[secretsFile])
}

// lock waits for the folder's lock. The lock file stays: to remove it would be a race with others who wait for it.
func (s *DirectoryStore) lock(ctx context.Context) (func(), error) {
	if info, err := os.Stat(s.dir); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, ErrNoDirectory
	} else if err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(s.dir, lockFile), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("wait for the lock %s: %w", lock.Path(), context.Cause(ctx))
		}
		return nil, err
	}
	// The error of closing a file that was never written to tells nothing.
	return func() { _ = lock.Close() }, nil
}

func (s *DirectoryStore) writeFile(w changedFile) error {
	path, mode, err := s.resolveFile(w.name)
	if err != nil {
		return err
	}
	if !s.inPlace {
		return s.replaceFile(path, w.data, mode)
	}
	journal := journalPath(path)
	if err := s.replaceFile(journal, w.data, 0o600); err != nil {
		return err
	}
	return s.overwriteFile(path, journal, w.data, mode)
}

// target is the file behind a name, through symbolic links, with the mode it is to have: a secret is for its owner, and for whom the owner let in.
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

func journalPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".journal")
}

// recover completes writes in place that were cut off. A journal comes into being whole, by renaming.
func (s *DirectoryStore) completeWrites() error {
	for _, name := range []string{secretsFile, infraFile} {
		path, mode, err := s.resolveFile(name)
		if err != nil {
			return err
		}
		if err := removeLeftovers(path); err != nil {
			return err
		}
		journal := journalPath(path)
		data, err := os.ReadFile(journal)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.overwriteFile(path, journal, data, mode); err != nil {
			return fmt.Errorf("complete the write of %s that was cut off: %w", path, err)
		}
	}
	return nil
}

// removeLeftovers removes the temporary files of writers that were killed: whoever holds the lock is the only writer.
func removeLeftovers(path string) error {
	for _, target := range []string{path, journalPath(path)} {
		leftovers, err := filepath.Glob(filepath.Join(escapeGlob(filepath.Dir(target)), temporaryPattern(target)))
		if err != nil {
			return err
		}
		for _, leftover := range leftovers {
			if err := os.Remove(leftover); err != nil {
				return err
			}
		}
	}
	return nil
}

// temporary is the pattern of the names of a file's temporary files.
func temporaryPattern(path string) string { return "." + filepath.Base(path) + ".*.tmp" }

var escapeGlob = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace

// overwrite changes the file's content and keeps the file, then removes the journal.
func (s *DirectoryStore) overwriteFile(path, journal string, data []byte, mode fs.FileMode) error {
	s.beforeStep("open " + filepath.Base(path))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, mode)
	if err != nil {
		return err
	}
	defer f.Close() // again, for the early returns
	if err := f.Chmod(mode); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	half := len(data) / 2
	if _, err := f.Write(data[:half]); err != nil {
		return err
	}
	s.beforeStep("half of " + filepath.Base(path))
	if _, err := f.Write(data[half:]); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(data))); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s.beforeStep("remove journal of " + filepath.Base(path))
	return os.Remove(journal)
}

// replace puts a new file in the place of path: written beside it, on the disk, then renamed.
func (s *DirectoryStore) replaceFile(path string, data []byte, mode fs.FileMode) (err error) {
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
	if err := keepOwner(f, path); err != nil {
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
