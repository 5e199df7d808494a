package image

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Programs are the static programs of the agent's image for one architecture.
type Programs struct{ Agent, Engine []byte }

// Release is the metadata of the agent's image.
type Release struct {
	Version string
	Created time.Time // of the commit, so that builds of one commit result in the same image
}

// Build builds the programs of the repository at root for both architectures, because a cluster may have nodes of both.
func (r Release) Build(ctx context.Context, root string) (map[string]Programs, error) {
	built := map[string]Programs{}
	for _, architecture := range []string{"amd64", "arm64"} {
		programs, err := r.build(ctx, root, architecture)
		if err != nil {
			return nil, fmt.Errorf("build the agent and the engine for %s: %w", architecture, err)
		}
		built[architecture] = programs
	}
	return built, nil
}

func (r Release) build(ctx context.Context, root, architecture string) (p Programs, err error) {
	directory, err := os.MkdirTemp("", "brane-image-")
	if err != nil {
		return p, err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w -X main.version="+r.Version, "-o", directory+"/", "./cmd/brane-agent", "./cmd/brane-engine")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture, "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return p, fmt.Errorf("%w\n%s", err, text)
	}
	if p.Agent, err = os.ReadFile(filepath.Join(directory, "brane-agent")); err != nil {
		return p, err
	}
	p.Engine, err = os.ReadFile(filepath.Join(directory, "brane-engine"))
	return p, err
}

// Agent builds one image for all architectures of the programs. An init container copies the agent from it into the pod of a step, or the pod mounts it
// as an image volume. The controller pod of a run with `wait = false` runs the engine in it.
func (r Release) Agent(programs map[string]Programs) (v1.ImageIndex, error) {
	config := v1.Config{
		// "nonroot" of distroless images, unless a security context or the cluster determines the user. The main container of a step can have another one.
		User:       "65532:65532",
		Entrypoint: []string{"/brane-agent"},
		Labels: map[string]string{
			"org.opencontainers.image.created":  r.Created.UTC().Format(time.RFC3339),
			"org.opencontainers.image.source":   "https://github.com/braneframework/terraform-provider-brane",
			"org.opencontainers.image.licenses": "Apache-2.0",
			"org.opencontainers.image.version":  r.Version,
		},
	}
	var index v1.ImageIndex = empty.Index
	for _, architecture := range slices.Sorted(maps.Keys(programs)) {
		p := programs[architecture]
		image, err := Of([]File{
			{Path: "/brane-agent", Mode: 0o755, Content: p.Agent},
			{Path: "/brane-engine", Mode: 0o755, Content: p.Engine},
			{Path: "/etc", Mode: 0o755, Folder: true},
			{Path: "/etc/ssl", Mode: 0o755, Folder: true},
			{Path: "/etc/ssl/certs", Mode: 0o755, Folder: true},
			{Path: "/etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Content: rootCAs()},
		}, architecture, config)
		if err != nil {
			return nil, err
		}
		if image, err = mutate.CreatedAt(image, v1.Time{Time: r.Created.UTC()}); err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	return index, nil
}

// rootCAs returns Mozilla's root CA certificates as PEM, with which agent and engine verify a rediss:// server without ca_certificate. They come from a
// Go module: those of the build machine or of a base image would change the image of the same commit, and a base image needs a registry at build time.
// Constraints on dates are not included, because the format has no place for them.
func rootCAs() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
	}
	return b.Bytes()
}
