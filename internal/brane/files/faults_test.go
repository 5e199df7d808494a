package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sys/unix"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

func TestWhatIsStoredWrongIsNotRead(t *testing.T) {
	client := dial(t, redistest.Start(t).URL())
	content := bytes.Repeat([]byte("abc"), 500_000)
	for name, tt := range map[string]struct {
		spoil func(s *Store, tree Tree)
		fact  error
		want  string
	}{
		"two bytes of a chunk are swapped": {func(s *Store, tree Tree) {
			e, _ := tree.Lookup("large")
			client.SetRange(t.Context(), s.chunkKey(e.Chunks[0]), 10, "XX")
		}, ErrCorrupt, "is corrupt: the stored content has another digest"},
		"a pack is cut": {func(s *Store, tree Tree) {
			e, _ := tree.Lookup("small")
			client.Set(t.Context(), s.chunkKey(e.Chunks[0]), "hel", time.Hour)
		}, ErrCorrupt, "is corrupt: the stored content has another digest"},
		"a chunk has grown": {func(s *Store, tree Tree) {
			e, _ := tree.Lookup("large")
			client.Append(t.Context(), s.chunkKey(e.Chunks[0]), "more")
		}, ErrCorrupt, "is corrupt: it is larger than a chunk"},
		"a chunk is gone": {func(s *Store, tree Tree) {
			e, _ := tree.Lookup("large")
			client.Del(t.Context(), s.chunkKey(e.Chunks[1]))
		}, ErrGone, "is not in redis any more"},
		"a chunk is a list": {func(s *Store, tree Tree) {
			e, _ := tree.Lookup("small")
			client.Del(t.Context(), s.chunkKey(e.Chunks[0]))
			client.RPush(t.Context(), s.chunkKey(e.Chunks[0]), "x")
		}, nil, "WRONGTYPE"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, client, "spoilt")
			if err := s.Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
			tree := leave(t, s, map[string][]byte{"small": []byte("hello"), "large": content})
			tt.spoil(s, tree)
			err := restored(t, s, tree, t.TempDir())
			if tt.fact != nil && !errors.Is(err, tt.fact) || !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("Restore says %v, want %s", err, tt.want)
			}
			var read error
			for e := range tree.All() {
				if e.IsFile() {
					read = errors.Join(read, s.Read(t.Context(), e, io.Discard))
				}
			}
			if tt.fact != nil && !errors.Is(read, tt.fact) || !strings.Contains(fmt.Sprint(read), tt.want) {
				t.Errorf("Read says %v, want %s", read, tt.want)
			}
		})
	}
}

// TestEntryBeyondItsPack checks an entry that exceeds its pack, whose digest is correct.
func TestEntryBeyondItsPack(t *testing.T) {
	s := open(t, dial(t, redistest.Start(t).URL()), "lie")
	tree := leave(t, s, map[string][]byte{"small": []byte("hello")})
	e, _ := tree.Lookup("small")
	e.Offset, e.Size = 3, 4
	want := "is corrupt: it has 5 bytes, the manifest wants 4 from 3"
	if err := s.Read(t.Context(), e, io.Discard); !errors.Is(err, ErrCorrupt) || !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("Read says %v, want %s", err, want)
	}
	if err := restored(t, s, Tree{[]*Entry{&e}}, t.TempDir()); !errors.Is(err, ErrCorrupt) || !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("Restore says %v, want %s", err, want)
	}
}

func TestAFullServerPublishesNothing(t *testing.T) {
	client := dial(t, redistest.Start(t, "--maxmemory", "8mb", "--maxmemory-policy", "noeviction").URL())
	s := open(t, client, "full")
	dir := t.TempDir()
	noise := make([]byte, 12<<20)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	file := filepath.Join(dir, "noise")
	if err := os.WriteFile(file, noise, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.PutInputs(t.Context(), map[string]Source{"noise": {Path: file}})
	var full *FullError
	if !errors.As(err, &full) || full.Need < int64(len(noise)) {
		t.Errorf("PutInputs says %v", err)
	}
	if n := client.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys were written before", n)
	}
	if layer, err := snapshotLayer(t.Context(), s, dir, nil, nil, "step"); !errors.Is(err, ErrFull) {
		t.Errorf("Snapshot says %s, %v", layer, err)
	}
}

// TestInputsExceedClusterMemory checks that nothing is sent if all masters together have too little memory.
func TestInputsExceedClusterMemory(t *testing.T) {
	cluster := redistest.StartCluster(t)
	for _, master := range cluster.Masters {
		if err := master.Client().ConfigSet(t.Context(), "maxmemory", "8mb").Err(); err != nil {
			t.Fatal(err)
		}
	}
	client := dial(t, cluster.URL())
	s := open(t, client, "full")
	_, err := s.PutInputs(t.Context(), map[string]Source{"large": {Content: noise(1, 30<<20)}})
	var full *FullError
	if !errors.As(err, &full) || full.Free > 3*8<<20 || full.Free < 8<<20 {
		t.Errorf("PutInputs says %v", err)
	}
	if n := client.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys were written before", n)
	}
	if _, err := s.PutInputs(t.Context(), map[string]Source{"small": {Content: make([]byte, 1<<20)}}); err != nil {
		t.Error(err)
	}
}

// interrupt calls fault once, before the nth command with a name.
type interrupt struct {
	command string
	left    chan struct{}
	fault   func()
}

func newInterrupt(n int, command string, fault func()) *interrupt {
	left := make(chan struct{}, n)
	for range n {
		left <- struct{}{}
	}
	return &interrupt{command, left, fault}
}

func (i *interrupt) DialHook(next redis.DialHook) redis.DialHook { return next }
func (i *interrupt) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (i *interrupt) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == i.command {
			select {
			case <-i.left:
				if len(i.left) == 0 {
					i.fault()
				}
			default:
			}
		}
		return next(ctx, cmd)
	}
}

// TestPutSurvivesServerFault kills the server, or cuts its network, during a put.
func TestPutSurvivesServerFault(t *testing.T) {
	for name, tt := range map[string]struct{ fault, mend func(*redistest.Server) }{
		"it is killed and started again": {(*redistest.Server).Kill, (*redistest.Server).Restart},
		"it stands still for 5 s":        {(*redistest.Server).Pause, func(s *redistest.Server) { <-time.After(5 * time.Second); s.Continue() }},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			client := dial(t, server.URL())
			broken, mended := make(chan struct{}), make(chan struct{})
			client.AddHook(newInterrupt(5, "set", func() { tt.fault(server); close(broken) }))
			go func() {
				defer close(mended)
				<-broken
				// The put must meet the fault; the duration does not matter.
				<-time.After(300 * time.Millisecond)
				tt.mend(server)
			}()
			s := open(t, client, "survives")
			dir, to := t.TempDir(), t.TempDir()
			for i := range 4 {
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), bytes.Repeat([]byte{byte(i), 2, 3, 5, 7}, 700_000), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			defer func() { <-mended }()
			ctx := testenv.Context(t)
			layer, err := snapshotLayer(ctx, s, dir, nil, nil, "step")
			if err != nil {
				t.Fatal(err)
			}
			<-mended
			tree, err := s.Tree(ctx, layer)
			if err != nil {
				t.Fatal(err)
			}
			if err := restored(t, s, tree, to); err != nil {
				t.Fatal(err)
			}
			if a, b := fmt.Sprint(disk(t, dir)), fmt.Sprint(disk(t, to)); a != b {
				t.Errorf("restored %s, want %s", b, a)
			}
		})
	}
}

// TestPutEndsWithItsContext checks that a put to a server that is gone permanently ends with its context.
func TestPutEndsWithItsContext(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, dial(t, server.URL()), "gone")
	server.Kill()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second) // several attempts, also on a busy machine
	defer stop()
	_, err := s.PutInputs(ctx, map[string]Source{"a": {Content: []byte("b")}})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// TestSpecialFiles checks what becomes of files that are neither regular files nor directories.
func TestSpecialFiles(t *testing.T) {
	var skipped []string
	s, err := Open(Config{
		Redis: dial(t, redistest.Start(t).URL()), Run: "special", Deadline: time.Now().Add(time.Hour),
		Skipped: func(path, kind string) { skipped = append(skipped, kind+" "+path) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		make    func(at string) error
		stored  string // the target of the link
		skipped string
		want    string // the error
	}{
		"a socket": {make: func(at string) error { return unix.Mknod(at, unix.S_IFSOCK|0o600, 0) }, skipped: "socket d/x"},
		// Device 0:0 may be created by everyone and opened by no one.
		"a device":                      {make: func(at string) error { return unix.Mknod(at, unix.S_IFCHR|0o600, 0) }, want: `file "d/x" is a device; only files, directories and symbolic links can be stored; remove it at the end of the step`},
		"a named pipe":                  {make: func(at string) error { return unix.Mkfifo(at, 0o600) }, skipped: "named pipe d/x"},
		"a link out of the tree":        {make: func(at string) error { return os.Symlink("../../x", at) }, stored: "../../x"},
		"a link to the image's program": {make: func(at string) error { return os.Symlink("/bin/sh", at) }, stored: "/bin/sh"},
		"a link to nothing":             {make: func(at string) error { return os.Symlink("/no/such/file", at) }, stored: "/no/such/file"},
		"a link to a directory outside": {make: func(at string) error { return os.Symlink("/etc", at) }, stored: "/etc"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, to := t.TempDir(), t.TempDir()
			skipped = nil
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o750), tt.make(filepath.Join(dir, "d", "x"))); err != nil {
				t.Fatal(err)
			}
			layer, err := snapshotLayer(t.Context(), s, dir, nil, nil, "step")
			if tt.want != "" {
				if want := "store the files of " + dir + ": " + tt.want; fmt.Sprint(err) != want {
					t.Errorf("got  %v\nwant %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(skipped, ", "); got != tt.skipped {
				t.Errorf("skipped: %q, want %q", got, tt.skipped)
			}
			tree, err := s.Tree(t.Context(), layer)
			if err != nil {
				t.Fatal(err)
			}
			if e, found := tree.Lookup("d/x"); e.Link != tt.stored || found != (tt.stored != "") {
				t.Errorf("the tree has the link %q, %t", e.Link, found)
			}
			if _, found := tree.Resolve("d/x"); found {
				t.Error("a file outside of the tree was found in it")
			}
			if _, found := tree.Resolve("d/x/passwd"); found {
				t.Error("a file outside of the tree was found in it")
			}
			if err := s.Restore(t.Context(), &Staged{Layer: layer}, to); err != nil {
				t.Fatal(err)
			}
			if got, _ := os.Readlink(filepath.Join(to, "d", "x")); got != tt.stored {
				t.Errorf("the link is restored as %q", got)
			}
			// The next step stores the same tree again.
			again, err := snapshotLayer(t.Context(), s, to, &Staged{Layer: layer}, nil, "next")
			if err != nil || again != layer {
				t.Errorf("the next step stores %s, not %s: %v", again, layer, err)
			}
		})
	}
	t.Run("an absolute link into the tree becomes relative", func(t *testing.T) {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o750), os.Symlink(dir+"/f", filepath.Join(dir, "d", "x"))); err != nil {
			t.Fatal(err)
		}
		layer, err := snapshotLayer(t.Context(), s, dir, nil, nil, "step")
		if err != nil {
			t.Fatal(err)
		}
		tree, err := s.Tree(t.Context(), layer)
		if e, _ := tree.Lookup("d/x"); err != nil || e.Link != "../f" {
			t.Errorf("the link points to %q, %v", e.Link, err)
		}
	})
}
