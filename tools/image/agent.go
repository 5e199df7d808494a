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

// Programs are the static programs of the agent's image, for one architecture.
type Programs struct{ Agent, Engine []byte }

// Release is what the agent's image says of itself.
type Release struct {
	Version string
	Created time.Time // the commit's, so that building a commit twice gives the same image
}

// Build builds the programs of the repository at root for both architectures: the nodes of a cluster may be of either kind, and of both.
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
	folder, err := os.MkdirTemp("", "brane-image-")
	if err != nil {
		return p, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w -X main.version="+r.Version, "-o", folder+"/", "./cmd/brane-agent", "./cmd/brane-engine")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+architecture, "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return p, fmt.Errorf("%w\n%s", err, text)
	}
	if p.Agent, err = os.ReadFile(filepath.Join(folder, "brane-agent")); err != nil {
		return p, err
	}
	p.Engine, err = os.ReadFile(filepath.Join(folder, "brane-engine"))
	return p, err
}

// Agent is one image for all architectures of the programs. The steps' init container copies the agent in it into the pod, or the pod has it as
// a volume; the pod of a run with `wait = false` starts the engine.
func (r Release) Agent(programs map[string]Programs) (v1.ImageIndex, error) {
	config := v1.Config{
		// No user: who may write into a step's folder is decided by the step, and where it says nothing that is root.
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
			{Path: "/etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Content: authorities()},
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

// authorities are Mozilla's, PEM, by which agent and engine know a rediss:// server that is given without ca_certificate. They come as a Go module: those
// of the machine that builds, or of a base image, would make another image of the same commit, and a base image needs a registry to build from.
// Those that Mozilla trusts up to a date are there without it, as in every file of this form.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
	}
	return b.Bytes()
}
