package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// listing lists the files of an image.
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
		t.Error("another busybox results in the same image")
	}
}

func TestAnotherAgentIsAnotherTag(t *testing.T) {
	tag := func(agent, engine string) string {
		dir := t.TempDir()
		built := binaries{agent: filepath.Join(dir, "agent"), engine: filepath.Join(dir, "engine")}
		for file, content := range map[string]string{built.agent: agent, built.engine: engine} {
			if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		_, name, err := agentImage("", built)
		if err != nil {
			t.Fatal(err)
		}
		return name
	}
	first := tag("a", "engine")
	if tag("a", "engine") != first {
		t.Error("the same programs have another tag")
	}
	for name, other := range map[string]string{
		"another agent":                 tag("b", "engine"),
		"another engine":                tag("a", "motor"),
		"the same bytes, cut elsewhere": tag("aengi", "ne"),
	} {
		if other == first {
			t.Errorf("%s has the same tag", name)
		}
	}
}
