package files

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestUntouchedFilesAreNotOpened asks the kernel which files a snapshot opens.
func TestUntouchedFilesAreNotOpened(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "untouched")
	ctx, dir := t.Context(), t.TempDir()
	content := map[string]Source{}
	for i := range 50 {
		content[fmt.Sprint("d/small", i)] = Source{Content: fmt.Append(nil, "content ", i)}
	}
	content["d/large"] = Source{Content: bytes.Repeat([]byte("0123456789"), 300_000)}
	layer, err := s.PutInputs(ctx, content)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := s.Tree(ctx, layer)
	if err != nil {
		t.Fatal(err)
	}
	staged, err := stage(ctx, t, s, tree, nil, dir)
	if err != nil {
		t.Fatal(err)
	}
	staged.Trusted = time.Now().UnixNano() // include those of the last tick, which are not changed
	touched := []string{"d/large", "d/small7"}
	for _, name := range touched {
		touch(t, filepath.Join(dir, name))
	}
	opened := watch(t, dir, "", "d")
	changed, err := snapshotLayer(ctx, s, dir, staged, nil, "step")
	if err != nil || changed == layer {
		t.Fatalf("a snapshot of what was changed is %s, %v", changed, err)
	}
	if got := opened(); !slices.Equal(got, touched) {
		t.Errorf("it has opened %q, want only what was touched: %q", got, touched)
	}
	// Without stamps, everything is read.
	if again, err := snapshotLayer(ctx, s, dir, &Staged{Layer: layer}, nil, "step"); err != nil || again != changed {
		t.Errorf("a snapshot that reads everything is %s, %v; want %s", again, err, changed)
	}
	if got := opened(); !slices.Equal(got, slices.Sorted(maps.Keys(content))) {
		t.Errorf("without stamps it has opened %q", got)
	}
}

// touch appends to a file until the clock of the file system has advanced.
func touch(t *testing.T, name string) {
	t.Helper()
	changed := func() (stat unix.Stat_t) {
		if err := unix.Stat(name, &stat); err != nil {
			t.Fatal(err)
		}
		return stat
	}
	for before := changed().Ctim; changed().Ctim == before; {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString("more"); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// watch returns a function that returns which files in these directories of dir were opened or read since its last call.
func watch(t *testing.T, dir string, folders ...string) func() []string {
	t.Helper()
	notify, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(notify) }) // nothing was written
	at := map[int32]string{}
	for _, directory := range folders {
		id, err := unix.InotifyAddWatch(notify, filepath.Join(dir, directory), unix.IN_OPEN|unix.IN_ACCESS)
		if err != nil {
			t.Fatal(err)
		}
		at[int32(id)] = directory
	}
	return func() []string {
		found := map[string]bool{}
		buffer := make([]byte, 64<<10)
		for {
			n, err := unix.Read(notify, buffer)
			if err == unix.EAGAIN {
				return slices.Sorted(maps.Keys(found))
			}
			if err != nil {
				t.Fatal(err)
			}
			for rest := buffer[:n]; len(rest) > 0; {
				id, mask := int32(binary.NativeEndian.Uint32(rest)), binary.NativeEndian.Uint32(rest[4:])
				length := binary.NativeEndian.Uint32(rest[12:])
				name := string(bytes.TrimRight(rest[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+length], "\x00"))
				if mask&unix.IN_Q_OVERFLOW != 0 {
					t.Fatal("more was opened than the kernel remembers")
				}
				if mask&unix.IN_ISDIR == 0 && name != "" {
					found[filepath.Join(at[id], name)] = true
				}
				rest = rest[unix.SizeofInotifyEvent+length:]
			}
		}
	}
}
