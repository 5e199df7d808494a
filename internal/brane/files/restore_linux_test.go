package files

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestAMappedFileInMemory checks that a change through a mapping is seen in an emptyDir volume in memory, where it does not change the ctime of the file.
func TestAMappedFileInMemory(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/dev/shm", "files") //nolint:usetesting // it has to be in memory
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // a directory of the test
	s := open(t, dial(t, redistest.Start(t).URL()), "mapped")
	layer, err := s.PutInputs(t.Context(), map[string]Source{"same": {Content: []byte("same")}, "large": {Content: make([]byte, readAgain+1)}})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(t.Context(), layer)
	if err != nil {
		t.Fatal(err)
	}
	staged, err := stage(t.Context(), t, s, tree, nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "large"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() // it is only mapped
	mapped, err := unix.Mmap(int(f.Fd()), 0, 1, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	if mapped[0] == 0 { // the page is mapped when it is read
		mapped[0] = 1
	}
	if err := unix.Munmap(mapped); err != nil {
		t.Fatal(err)
	}
	changed, err := snapshotLayer(t.Context(), s, dir, staged, nil, "step")
	if err != nil {
		t.Fatal(err)
	}
	if tree, err = s.Tree(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]string{"large": "step", "same": ""} {
		if e, isThere := tree.Lookup(name); !isThere || e.By != by {
			t.Errorf("%s is stored by %q, want %q", name, e.By, by)
		}
	}
}

// TestADirectoryWithASetgidBit checks that the bit that directories inherit from a volume with fs_group is no change of the step.
func TestADirectoryWithASetgidBit(t *testing.T) {
	t.Parallel()
	s := open(t, dial(t, redistest.Start(t).URL()), "setgid")
	directory := func(name string, mode os.FileMode) Entry { return Entry{Path: name, Mode: os.ModeDir | mode} }
	tree, err := NewTree([]Entry{
		directory("default", 0o755), directory("default/inside", 0o755), directory("open", 0o777), directory("own", 0o755|os.ModeSetgid), directory("own/inside", 0o755),
		directory("readonly", 0o555),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, reads := range map[string]Patterns{"all": nil, "below": {"default/inside", "own/inside"}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.Chmod(dir, 0o777|os.ModeSetgid); err != nil {
				t.Fatal(err)
			}
			staged, err := stage(t.Context(), t, s, tree, reads, dir)
			if err != nil {
				t.Fatal(err)
			}
			if same, err := snapshotLayer(t.Context(), s, dir, staged, nil, "step"); err != nil || same != staged.Layer {
				t.Errorf("a snapshot of the restored directories is %s, %v; want %s", same, err, staged.Layer)
			}
		})
	}
}
