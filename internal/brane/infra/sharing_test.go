//go:build unix

package infra

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// shared is a group that is no user's primary group.
const shared = 4242

// asMember returns a user in the group shared.
func asMember(user uint32) syscall.Credential {
	return syscall.Credential{Uid: user, Gid: user, Groups: []uint32{shared}}
}

// sharedDirectory returns a directory with both files, of root and the group shared.
func sharedDirectory(t *testing.T, mode fs.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	openParents(t, dir)
	writeFile(t, filepath.Join(dir, infraFile), "locations: {}\n", 0o664)
	writeFile(t, filepath.Join(dir, secretsFile), "{}\n", 0o660)
	for name, mode := range map[string]fs.FileMode{".": mode, infraFile: 0o664, secretsFile: 0o660} {
		if err := os.Chown(filepath.Join(dir, name), 0, shared); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The members of a group that shares a directory register locations one after another.
func TestMembersOfAGroupShareADirectory(t *testing.T) {
	testenv.RequireRoot(t, "start processes of other users")
	for _, v := range []Version{V05, V06} {
		for _, mode := range []fs.FileMode{0o770, 0o770 | fs.ModeSetgid} {
			t.Run(fmt.Sprintf("%s, %v", v, mode), func(t *testing.T) {
				dir := sharedDirectory(t, mode)
				for i, user := range []uint32{nobody, nobody + 1, nobody} {
					if got := runAs(t, process(t, dir, v, 10*i, 0), asMember(user)); got != "" {
						t.Fatalf("writer %d: %s", i, got)
					}
				}
				wantNumbered(t, NewDirectoryStore(dir, v), 30)
				for name, want := range map[string]fs.FileMode{infraFile: 0o664, secretsFile: 0o660, lockFile: 0o660} {
					if mode, group := modeAndGroup(t, filepath.Join(dir, name)); mode != want || group != shared {
						t.Errorf("%s has mode %v and group %d", name, mode, group)
					}
				}
			})
		}
	}
}

// Another member of the group completes an interrupted write.
func TestMemberOfAGroupCompletesAWrite(t *testing.T) {
	testenv.RequireRoot(t, "start processes of other users")
	dir := sharedDirectory(t, 0o770)
	const half = 5 // open, three to write the journal, and the first half
	if got := runAs(t, process(t, dir, V05, 0, half), asMember(nobody)); got != "signal: killed: " {
		t.Fatalf("the writer ended with %q", got)
	}
	if left := hiddenFiles(t, dir); len(left) != 1 {
		t.Fatalf("left behind: %v", left)
	}
	if got := runAs(t, process(t, dir, V05, 0, 0), asMember(nobody+1)); got != "" {
		t.Errorf("the next writer: %s", got)
	}
	wantNumbered(t, NewDirectoryStore(dir, V05), 10)
}

// A writer who is not in the group of a file must not give its content to the writer's own group.
func TestAnotherGroupGetsNoPermissions(t *testing.T) {
	testenv.RequireRoot(t, "start processes of other users")
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, infraFile), "locations: {}\n", 0o664)
	writeFile(t, filepath.Join(dir, secretsFile), "{}\n", 0o660)
	giveToNobody(t, dir)
	for _, name := range []string{infraFile, secretsFile} {
		if err := os.Chown(filepath.Join(dir, name), nobody, shared); err != nil {
			t.Fatal(err)
		}
	}
	if got := runAsNobody(t, process(t, dir, V06, 0, 0)); got != "" {
		t.Fatal(got)
	}
	for name, want := range map[string]fs.FileMode{infraFile: 0o644, secretsFile: 0o600} {
		if mode, group := modeAndGroup(t, filepath.Join(dir, name)); mode != want || group != nobody {
			t.Errorf("%s has mode %v and group %d", name, mode, group)
		}
	}
}

func modeAndGroup(t *testing.T, path string) (fs.FileMode, uint32) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("%s has no group", path)
	}
	return info.Mode(), stat.Gid
}
