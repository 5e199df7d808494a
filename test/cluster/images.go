package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// The images' names below the registry. None is tagged latest, which Kubernetes would pull for every pod.
const (
	pauseName, pauseTag = "pause", "1"
	toolsName, toolsTag = "tools", "1"
	agentName           = "brane-agent"
)

const busyboxFile = "/bin/busybox"

func (c cluster) image(name, tag string) string { return c.registry() + "/" + name + ":" + tag }

// entry is one file, folder or symbolic link of an image.
type entry struct {
	path    string // absolute
	mode    int64
	folder  bool
	target  string // of a symbolic link
	content []byte
}

// layer makes the same layer of the same entries, in whatever order they come: a digest tells whether something
// changed.
func layer(entries []entry) (v1.Layer, error) {
	entries = slices.Clone(entries)
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(e.path, "/"), Mode: e.mode, Size: int64(len(e.content))}
		switch {
		case e.folder:
			h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		case e.target != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.target
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
}

// makeImage makes an image for this machine's processor out of nothing but the entries.
func makeImage(entries []entry, config v1.Config) (v1.Image, error) {
	l, err := layer(entries)
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(image, file)
}

// programImage holds static programs and nothing else, and runs the first of them.
func programImage(programs ...staticProgram) (v1.Image, error) {
	var entries []entry
	for _, p := range programs {
		entries = append(entries, entry{path: p.path, mode: 0o755, content: p.content})
	}
	return makeImage(entries, v1.Config{Entrypoint: []string{programs[0].path}})
}

// staticProgram is a program and its place in an image.
type staticProgram struct {
	path    string
	content []byte
}

// toolsImage gives examples and tests a shell and the usual commands: busybox under each of its applets' names.
func toolsImage(busybox []byte, applets []string) (v1.Image, error) {
	entries := []entry{
		{path: busyboxFile, mode: 0o755, content: busybox},
		{path: "/etc/passwd", mode: 0o644, content: []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")},
		{path: "/etc/group", mode: 0o644, content: []byte("root:x:0:\nnogroup:x:65534:\n")},
		{path: "/root", mode: 0o700, folder: true},
		{path: "/tmp", mode: 0o1777, folder: true},
	}
	folders := map[string]bool{"/bin": true, "/etc": true}
	for _, a := range applets {
		link := path.Join("/", a)
		if link == busyboxFile {
			continue
		}
		for d := path.Dir(link); d != "/"; d = path.Dir(d) {
			folders[d] = true
		}
		entries = append(entries, entry{path: link, mode: 0o777, target: busyboxFile})
	}
	for d := range folders {
		entries = append(entries, entry{path: d, mode: 0o755, folder: true})
	}
	return makeImage(entries, v1.Config{
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Cmd: []string{"/bin/sh"},
	})
}

// busyboxApplets are paths below the root, like usr/bin/awk.
func busyboxApplets(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, busyboxFile, "--list-full").Output()
	if err != nil {
		return nil, fmt.Errorf("list busybox's applets: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// contentTag makes another agent another image name, so that no node runs an older one that it has pulled.
func contentTag(contents ...[]byte) string {
	sum := sha256.New()
	for _, content := range contents {
		fmt.Fprintf(sum, "%d\n", len(content))
		sum.Write(content)
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// binaries are the built programs that images are made of.
type binaries struct{ agent, engine, pause, brane string }

// pushImages pushes every image and gives the agent's name. Brane's packages are described by files below root.
func pushImages(ctx context.Context, c cluster, root string, built binaries) (agent string, err error) {
	agentProgram, err := os.ReadFile(built.agent)
	if err != nil {
		return "", err
	}
	engineProgram, err := os.ReadFile(built.engine)
	if err != nil {
		return "", err
	}
	agentImage, err := programImage(staticProgram{"/brane-agent", agentProgram}, staticProgram{"/brane-engine", engineProgram})
	if err != nil {
		return "", err
	}
	pauseProgram, err := os.ReadFile(built.pause)
	if err != nil {
		return "", err
	}
	pauseImage, err := programImage(staticProgram{"/pause", pauseProgram})
	if err != nil {
		return "", err
	}
	busybox, err := os.ReadFile(busyboxFile)
	if err != nil {
		return "", err
	}
	applets, err := busyboxApplets(ctx)
	if err != nil {
		return "", err
	}
	toolsImage, err := toolsImage(busybox, applets)
	if err != nil {
		return "", err
	}
	agent = c.image(agentName, contentTag(agentProgram, engineProgram))
	images, err := packageImages(c, root, built.brane)
	if err != nil {
		return "", err
	}
	images[c.image(pauseName, pauseTag)], images[c.image(toolsName, toolsTag)], images[agent] = pauseImage, toolsImage, agentImage
	for reference, image := range images {
		if err := push(ctx, reference, image); err != nil {
			return "", err
		}
	}
	return agent, nil
}

// push sends what the registry does not have yet, over plain HTTP and past any proxy.
func push(ctx context.Context, reference string, image v1.Image) error {
	tag, err := name.NewTag(reference, name.Insecure)
	if err != nil {
		return err
	}
	direct := new(http.Transport) // the default one would ask the machine's proxy
	defer direct.CloseIdleConnections()
	if err := remote.Write(tag, image, remote.WithContext(ctx), remote.WithTransport(direct)); err != nil {
		return fmt.Errorf("push image %s: %w", reference, err)
	}
	return nil
}
