//go:build unix

package infra

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user who is not root, and its group.
const nobody = 65532

// runAsNobody runs a process as a user who is not root, and returns its output. The tests' own user is used if it is not root.
func runAsNobody(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	return runAs(t, cmd, syscall.Credential{Uid: nobody, Gid: nobody})
}

// runAs is runAsNobody for another user.
func runAs(t *testing.T, cmd *exec.Cmd, user syscall.Credential) string {
	t.Helper()
	if os.Getuid() == 0 {
		program, err := os.ReadFile(cmd.Path)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Path = filepath.Join(t.TempDir(), "test") // others cannot read the directory of a test program
		writeFile(t, cmd.Path, string(program), 0o755)
		openParents(t, cmd.Path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &user}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return err.Error() + ": " + stderr.String()
	}
	return ""
}

// openParents lets all users enter the directories of a test.
func openParents(t *testing.T, path string) {
	t.Helper()
	for at := filepath.Dir(path); at != filepath.Clean(os.TempDir()) && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// giveToNobody makes nobody the owner of a directory and the files in it.
func giveToNobody(t *testing.T, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	openParents(t, dir)
	err := filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(at, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hiddenFiles returns what a writer has left in a directory, without the lock.
func hiddenFiles(t *testing.T, dir string) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, ".*.yml*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// A write that is refused must not be completed later, when the file has other content.
func TestRefusedWriteLeavesNoJournal(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, infraFile), "locations: {}\n", 0o444)
	giveToNobody(t, dir)
	if got := runAsNobody(t, process(t, dir, V05, 0, 0)); !strings.Contains(got, "permission denied") {
		t.Errorf("the writer ended with %q", got)
	}
	if left := hiddenFiles(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDirectoryStoreKeepsEditsAfterAKilledWriter(t *testing.T) {
	const before = "# written by hand, at some length\nlocations: {}\n"
	edits := map[string]string{"changed": "# another\n" + before, "emptied": "locations: {}\n", "truncated": before[:10] + "\n"}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			journals := 0
			for dieAt := 1; dieAt <= 12; dieAt++ { // the first of ten registrations
				dir := t.TempDir()
				path := filepath.Join(dir, infraFile)
				writeFile(t, path, before, 0o644)
				writeFile(t, filepath.Join(dir, secretsFile), "{}\n", 0o600)
				if err := process(t, dir, V05, 0, dieAt).Run(); err == nil || err.Error() != "signal: killed" {
					t.Fatalf("step %d: the process ended with %v", dieAt, err)
				}
				if _, err := os.Stat(journalPath(path)); err == nil {
					journals++
				}
				writeFile(t, path, edit, 0o644)
				if _, err := NewDirectoryStore(dir, V05).Read(t.Context()); err != nil {
					t.Errorf("step %d: %v", dieAt, err)
				}
				if got := content(t, dir, infraFile); got != edit {
					t.Errorf("step %d: the edit is lost:\n%s", dieAt, got)
				}
				if left := hiddenFiles(t, dir); len(left) > 0 {
					t.Errorf("step %d: left behind: %v", dieAt, left)
				}
			}
			if journals == 0 {
				t.Error("no writer has left a journal")
			}
		})
	}
}

func TestDirectoryStoreKeepsARemovedFileAfterAKilledWriter(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, journalPath(filepath.Join(dir, infraFile)), `{"Before":"bG9jYXRpb25zOiB7fQo=","After":"IyBuZXcK"}`, 0o600)
	files, err := NewDirectoryStore(dir, V05).Read(t.Context())
	if err != nil || files.HasInfra || len(hiddenFiles(t, dir)) > 0 {
		t.Errorf("%v, infra.yml exists: %v, left behind: %v", err, files.HasInfra, hiddenFiles(t, dir))
	}
}

func TestDirectoryStoreReportsAnUnreadableJournal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, infraFile)
	writeFile(t, path, "locations: {}\n", 0o644)
	writeFile(t, journalPath(path), "locations: {}\n", 0o600)
	if _, err := NewDirectoryStore(dir, V05).Read(t.Context()); err == nil || !strings.Contains(err.Error(), journalPath(path)) {
		t.Errorf("got %v", err)
	}
	if got := content(t, dir, infraFile); got != "locations: {}\n" {
		t.Errorf("overwritten by\n%s", got)
	}
}

func TestJournalRecognizesAnInterruptedWrite(t *testing.T) {
	for _, j := range []journal{
		{[]byte("a: 1\nb: 2\n"), []byte("a: 2\nc: 3\nb: 2\n")},
		{[]byte("a: 1\nb: 2\nc: 3\n"), []byte("a: 1\nc: 3\n")},
		{[]byte("a: 1\n"), []byte("b: 2\n")},
		{nil, []byte("a: 1\n")},
	} {
		for n := range len(j.After) + 1 {
			text := append(bytes.Clone(j.After[:n]), j.Before[min(n, len(j.Before)):]...)
			if want := !bytes.Equal(text, j.Before) && !bytes.Equal(text, j.After); j.isInterrupted(text) != want {
				t.Errorf("%q before, %q after: %q is interrupted: %v", j.Before, j.After, text, !want)
			}
		}
		for _, text := range []string{"", "d: 4\n", string(j.After) + "d: 4\n", "d" + string(j.Before)} {
			if j.isInterrupted([]byte(text)) {
				t.Errorf("%q before, %q after: %q is interrupted", j.Before, j.After, text)
			}
		}
	}
}

func TestJournalRecognizesBlocksInAnyOrder(t *testing.T) {
	before, after := []byte(strings.Repeat("before\n", 200)), []byte(strings.Repeat("written\n", 300))
	j := journal{before, after}
	mix := func(isWritten ...bool) []byte {
		text := bytes.Clone(before)
		for i, written := range isWritten {
			if at := i * diskBlock; written {
				end := min(at+diskBlock, len(after))
				text = append(text, make([]byte, max(end-len(text), 0))...)
				copy(text[at:], after[at:end])
			}
		}
		return text
	}
	for name, text := range map[string][]byte{
		"the second block": mix(false, true), "the last block, with zeros before it": mix(false, false, false, false, true), "all but one": mix(true, false, true, true, true),
		"zeros at the end": append(bytes.Clone(before), make([]byte, 100)...),
	} {
		if !j.isInterrupted(text) {
			t.Errorf("%s: it is not recognized", name)
		}
		edited := bytes.Clone(text)
		edited[diskBlock+5]++
		if j.isInterrupted(edited) {
			t.Errorf("%s, edited: it is taken for an interrupted write", name)
		}
	}
}

func TestRefusedOwners(t *testing.T) {
	for _, err := range []error{syscall.EPERM, syscall.EINVAL, syscall.ENOTSUP, syscall.ENOSYS} {
		if !isRefused(&fs.PathError{Op: "chown", Path: "/x", Err: err}) {
			t.Errorf("%v is an error", err)
		}
	}
	if isRefused(syscall.EIO) || isRefused(nil) {
		t.Error("another error is ignored")
	}
}
