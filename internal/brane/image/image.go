// Package image reads the entry point, the digest and single files of an image from its registry.
//
// It does not depend on Terraform, clusters or runs.
package image

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/braneframework/terraform-provider-brane/internal/brane/redact"
)

// Image is the metadata of an image in its registry.
type Image struct {
	Pinned     string // the reference with its digest; for a multi-platform image the digest of its index
	Entrypoint []string
	Cmd        []string
	Labels     map[string]string
}

// Program returns the entry point and the command of the image; empty if the image has neither.
func (i Image) Program() []string { return slices.Concat(i.Entrypoint, i.Cmd) }

// ErrPlatforms reports that the platforms of an image have different entry points or commands, so the program depends on the node.
var ErrPlatforms = errors.New("its platforms have different entry points")

// Lookup reads the metadata of an image with the credentials of docker and podman on the machine that runs Terraform, over HTTPS, and over HTTP at loopback and
// private addresses. The error is [ErrPlatforms] if the image has several platforms whose programs differ.
func Lookup(ctx context.Context, reference string) (Image, error) {
	image, err := lookUpImage(ctx, reference)
	if err != nil {
		return Image{}, fmt.Errorf("read image %q from its registry: %w", redact.HideUserInfo(reference), err)
	}
	return image, nil
}

func lookUpImage(ctx context.Context, text string) (Image, error) {
	reference, err := name.ParseReference(text)
	if err != nil { // its text contains the reference, and so perhaps a password
		return Image{}, errors.New("it is not an image reference, such as registry.example.org/tools:1.0")
	}
	options := remoteOptions(ctx)
	found, err := remote.Get(reference, options...)
	if err != nil {
		return Image{}, err
	}
	configs, err := readConfigs(found, reference.Context(), options)
	if err != nil {
		return Image{}, err
	}
	first := configs[0]
	for _, other := range configs[1:] {
		if !slices.Equal(other.Entrypoint, first.Entrypoint) || !slices.Equal(other.Cmd, first.Cmd) {
			return Image{}, ErrPlatforms
		}
	}
	return Image{
		Pinned:     reference.Context().Name() + "@" + found.Digest.String(),
		Entrypoint: first.Entrypoint, Cmd: first.Cmd, Labels: first.Labels,
	}, nil
}

func remoteOptions(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithUserAgent("terraform-provider-brane"), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}

// readConfigs returns the configuration of each Linux platform, at least one.
func readConfigs(found *remote.Descriptor, repository name.Repository, options []remote.Option) ([]v1.Config, error) {
	if !found.MediaType.IsIndex() {
		image, err := found.Image()
		if err != nil {
			return nil, err
		}
		return readConfig(image)
	}
	index, err := found.ImageIndex()
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	linux := slices.DeleteFunc(slices.Clone(manifest.Manifests), func(d v1.Descriptor) bool {
		return !d.MediaType.IsImage() || d.Platform == nil || d.Platform.OS != "linux" // attestations are of an "unknown" platform
	})
	if len(linux) == 0 {
		return nil, errors.New("it has no image for Linux")
	}
	all := make([]v1.Config, len(linux))
	var group errgroup.Group
	group.SetLimit(4)
	for i, descriptor := range linux {
		group.Go(func() error {
			image, err := remote.Image(repository.Digest(descriptor.Digest.String()), options...)
			if err != nil {
				return err
			}
			read, err := readConfig(image)
			if err == nil {
				all[i] = read[0]
			}
			return err
		})
	}
	return all, group.Wait()
}

func readConfig(image v1.Image) ([]v1.Config, error) {
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	return []v1.Config{file.Config}, nil
}
