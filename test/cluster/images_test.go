package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// listing is an image's files as a person would list them.
func listing(t *testing.T, image v1.Image) string {
	t.Helper()
	files := mutate.Extract(image)
	defer func() { _ = files.Close() }()
	var b strings.Builder
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%04o %s", h.Mode, h.Name)
		if h.Typeflag == tar.TypeDir {
			b.WriteString("/")
		}
		if h.Linkname != "" {
			fmt.Fprintf(&b, " -> %s", h.Linkname)
		}
		if len(content) > 0 && len(content) < 20 {
			fmt.Fprintf(&b, " = %s", content)
		}
		b.WriteString("\n")
	}
}

func digest(t *testing.T, image v1.Image) string {
	t.Helper()
	d, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func TestProgramImage(t *testing.T) {
	image, err := programImage(staticProgram{"/brane-agent", []byte("ELF")}, staticProgram{"/brane-engine", []byte("ENGINE")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := listing(t, image), "0755 brane-agent = ELF\n0755 brane-engine = ENGINE\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(file.Config.Entrypoint, []string{"/brane-agent"}) || file.OS != "linux" || file.Architecture != runtime.GOARCH {
		t.Errorf("got entry point %q for %s/%s", file.Config.Entrypoint, file.OS, file.Architecture)
	}
}

func TestToolsImage(t *testing.T) {
	image, err := toolsImage([]byte("BOX"), []string{"usr/bin/awk", "bin/sh", "bin/busybox"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `0755 bin/
0755 bin/busybox = BOX
0777 bin/sh -> /bin/busybox
0755 etc/
0644 etc/group
0644 etc/passwd
0700 root/
1777 tmp/
0755 usr/
0755 usr/bin/
0777 usr/bin/awk -> /bin/busybox
`
	if got := listing(t, image); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSameContentIsTheSameImage(t *testing.T) {
	one, err := toolsImage([]byte("BOX"), []string{"bin/sh", "usr/bin/awk"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := toolsImage([]byte("BOX"), []string{"usr/bin/awk", "bin/sh"})
	if err != nil {
		t.Fatal(err)
	}
	other, err := toolsImage([]byte("BOX 2"), []string{"bin/sh", "usr/bin/awk"})
	if err != nil {
		t.Fatal(err)
	}
	if digest(t, one) != digest(t, two) {
		t.Error("the order of applets changes the image")
	}
	if digest(t, one) == digest(t, other) {
		t.Error("another busybox makes the same image")
	}
}

func TestAnotherAgentIsAnotherTag(t *testing.T) {
	if got, want := contentTag([]byte("agent")), "543d06807a54"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, other := range map[string]string{
		"another agent":                 contentTag([]byte("b"), []byte("engine")),
		"another engine":                contentTag([]byte("a"), []byte("motor")),
		"the same bytes, cut elsewhere": contentTag([]byte("aengi"), []byte("ne")),
	} {
		if contentTag([]byte("a"), []byte("engine")) == other {
			t.Errorf("%s has the same tag", name)
		}
	}
}
