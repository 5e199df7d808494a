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
	dir, err := os.MkdirTemp("/dev/shm", "files")
	if err != nil {
		t.Skipf("this test needs a tmpfs at /dev/shm: %v", err)
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
