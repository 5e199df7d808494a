package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/braneframework/terraform-provider-brane/tools/image"
)

// The names of the images in the registry. None is tagged latest, which Kubernetes would pull for every pod.
const (
	pauseName, pauseTag = "pause", "1"
	toolsName, toolsTag = "tools", "1"
	agentName           = "brane-agent"
)

const busyboxFile = "/bin/busybox"

func (c cluster) image(name, tag string) string { return reference(c.registry(), name, tag) }

func reference(registry, name, tag string) string { return registry + "/" + name + ":" + tag }

// toolsImage contains busybox under the name of each applet, for examples and tests.
func toolsImage(busybox []byte, applets []string) (v1.Image, error) {
	files := []image.File{
		{Path: busyboxFile, Mode: 0o755, Content: busybox},
		{Path: "/etc/passwd", Mode: 0o644, Content: []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")},
		{Path: "/etc/group", Mode: 0o644, Content: []byte("root:x:0:\nnogroup:x:65534:\n")},
		{Path: "/root", Mode: 0o700, Folder: true},
		{Path: "/tmp", Mode: 0o1777, Folder: true},
	}
	directories := map[string]bool{"/bin": true, "/etc": true}
	for _, a := range applets {
		link := path.Join("/", a)
		if link == busyboxFile {
			continue
		}
		for d := path.Dir(link); d != "/"; d = path.Dir(d) {
			directories[d] = true
		}
		files = append(files, image.File{Path: link, Mode: 0o777, Target: busyboxFile})
	}
	for d := range directories {
		files = append(files, image.File{Path: d, Mode: 0o755, Folder: true})
	}
	return image.Of(files, runtime.GOARCH, v1.Config{
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Cmd: []string{"/bin/sh"},
	})
}

// busyboxApplets returns paths below the root, such as usr/bin/awk.
func busyboxApplets(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, busyboxFile, "--list-full").Output()
	if err != nil {
		return nil, fmt.Errorf("list busybox's applets: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// binaries are the programs in the images.
type binaries struct{ agent, engine, pause, brane string }

// images builds and pushes the images for a cluster that the launcher did not start, and writes the variables that name them to out.
func images(ctx context.Context, o options, out io.Writer, st *status) error {
	dir, err := os.MkdirTemp("", "brane-images-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	built, err := buildPrograms(ctx, o, dir, st)
	if err != nil {
		return err
	}
	agent, err := pushImages(ctx, o.registry, o.root, built)
	if err != nil {
		return err
	}
	for _, v := range []variable{{"BRANE_REGISTRY", o.registry}, {"BRANE_AGENT_IMAGE", agent}, {"BRANE_TOOLS_IMAGE", reference(o.registry, toolsName, toolsTag)}} {
		fmt.Fprintf(out, "export %s=%s\n", v.name, shellQuote(v.value))
	}
	return nil
}

// pushImages pushes every image to a registry, host:port, and returns the name of the agent's. The files that describe Brane's packages are below root.
func pushImages(ctx context.Context, registry, root string, built binaries) (agent string, err error) {
	index, agent, err := agentImage(registry, built)
	if err != nil {
		return "", err
	}
	pauseProgram, err := os.ReadFile(built.pause)
	if err != nil {
		return "", err
	}
	pauseImage, err := image.Of([]image.File{{Path: "/pause", Mode: 0o755, Content: pauseProgram}}, runtime.GOARCH, v1.Config{Entrypoint: []string{"/pause"}})
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
	images, err := packageImages(registry, root, built.brane)
	if err != nil {
		return "", err
	}
	images[reference(registry, pauseName, pauseTag)], images[reference(registry, toolsName, toolsTag)], images[agent] = pauseImage, toolsImage, index
	for name, made := range images {
		if err := push(ctx, name, made); err != nil {
			return "", err
		}
	}
	return agent, nil
}

// agentImage builds the image like a release, but only for the architecture of the machine. A changed agent or engine gets another name, so that no node
// runs an older one that it has already pulled.
func agentImage(registry string, built binaries) (v1.ImageIndex, string, error) {
	agent, err := os.ReadFile(built.agent)
	if err != nil {
		return nil, "", err
	}
	engine, err := os.ReadFile(built.engine)
	if err != nil {
		return nil, "", err
	}
	// Without the time of a commit, which would change the digest of the image.
	release := image.Release{Version: "dev", Created: time.Unix(0, 0)}
	index, err := release.Agent(map[string]image.Programs{runtime.GOARCH: {Agent: agent, Engine: engine}})
	if err != nil {
		return nil, "", err
	}
	digest, err := index.Digest()
	if err != nil {
		return nil, "", err
	}
	return index, reference(registry, agentName, digest.Hex[:12]), nil
}

// push uploads what the registry does not have, over plain HTTP and without a proxy.
func push(ctx context.Context, reference string, made remote.Taggable) error {
	tag, err := name.NewTag(reference, name.Insecure)
	if err != nil {
		return err
	}
	direct := new(http.Transport) // the default transport would use the proxy of the environment
	defer direct.CloseIdleConnections()
	if err := remote.Push(tag, made, remote.WithContext(ctx), remote.WithTransport(direct)); err != nil {
		return fmt.Errorf("push image %s: %w", reference, err)
	}
	return nil
}
