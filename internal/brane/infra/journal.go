package infra

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// journal has both texts of a file that is overwritten, so that the next reader or writer recognizes what became of it: the write has not begun, was interrupted
// or is complete, or the file was edited since.
type journal struct{ Before, After []byte }

// journalPath returns the path of the journal of a file.
func journalPath(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".journal")
}

// diskBlock is the size of the smallest part of a file that a disk writes.
const diskBlock = 512

// isInterrupted reports whether a text is what an interrupted write has left. A killed process leaves the beginning of the text after the write and the rest of
// that before it. A machine that dies leaves blocks of both in any order, and zeros where it had not written the end.
func (j journal) isInterrupted(text []byte) bool {
	if bytes.Equal(text, j.Before) || bytes.Equal(text, j.After) {
		return false
	}
	written := 0
	for written < min(len(text), len(j.After)) && text[written] == j.After[written] {
		written++
	}
	return bytes.Equal(text[written:], j.Before[min(written, len(j.Before)):]) || j.hasBlocks(text)
}

// hasBlocks reports whether a text consists of blocks of the text before the write, of that after it, of what it was between the two parts of the write, and
// of zeros.
func (j journal) hasBlocks(text []byte) bool {
	if len(text) < min(len(j.Before), len(j.After)) || len(text) > max(len(j.Before), len(j.After)) {
		return false
	}
	half := len(j.After) / 2
	between := append(bytes.Clone(j.After[:half]), j.Before[min(half, len(j.Before)):]...)
	for at := 0; at < len(text); at += diskBlock {
		block := text[at:min(at+diskBlock, len(text))]
		isOf := func(whole []byte) bool {
			part := make([]byte, len(block)) // zeros after the end
			copy(part, whole[min(at, len(whole)):])
			return bytes.Equal(block, part)
		}
		if !isOf(j.Before) && !isOf(j.After) && !isOf(between) && !isOf(nil) {
			return false
		}
	}
	return true
}

// overwriteFile changes the content of a file in place. The file is opened before the journal exists, so that a write that is refused leaves none. Those who
// can read the file can also read the journal. A file that does not exist is not mounted anywhere, and is created by renaming.
func (s *DirectoryStore) overwriteFile(path string, data []byte, mode fs.FileMode) error {
	s.beforeStep("open " + filepath.Base(path))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return s.replaceFile(path, path, data, mode)
	}
	if err != nil {
		return err
	}
	defer f.Close() // again, for the early returns
	before, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	text, err := json.Marshal(journal{before, data})
	if err != nil {
		return err
	}
	if err := s.replaceFile(journalPath(path), path, text, mode); err != nil {
		return err
	}
	return s.fillFile(f, data, mode)
}

// fillFile writes the content of an open file, closes it, and removes the journal.
func (s *DirectoryStore) fillFile(f *os.File, data []byte, mode fs.FileMode) error {
	if err := f.Chmod(mode); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	half := len(data) / 2
	if _, err := f.WriteAt(data[:half], 0); err != nil {
		return err
	}
	s.beforeStep("half of " + filepath.Base(f.Name()))
	if _, err := f.WriteAt(data[half:], int64(half)); err != nil {
		return err
	}
	s.beforeStep("truncate " + filepath.Base(f.Name()))
	if err := f.Truncate(int64(len(data))); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s.beforeStep("remove journal of " + filepath.Base(f.Name()))
	return removeUnused(journalPath(f.Name()))
}

// completeWrite completes an interrupted write of a file. A file that was edited since then is kept as it is.
func (s *DirectoryStore) completeWrite(path string, mode fs.FileMode) error {
	encoded, err := os.ReadFile(journalPath(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var j journal
	if err := json.Unmarshal(encoded, &j); err != nil {
		return fmt.Errorf("decode %s, from which an interrupted write of %s is completed: %w; if that file is as it should be, delete the journal",
			journalPath(path), filepath.Base(path), err)
	}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil || !j.isInterrupted(text) {
		return removeUnused(journalPath(path))
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close() // again, for the early returns
	return s.fillFile(f, j.After, mode)
}

// removeUnused removes a file that is not needed any more. It stays if the directory cannot be written to: readers do not need that, and writers fail later.
func removeUnused(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrPermission) && !isReadOnly(err) {
		return err
	}
	return nil
}
