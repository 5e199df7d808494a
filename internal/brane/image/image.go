// Package image reads the default command of an image and its current digest from its registry.
//
// It pulls nothing but manifests and configurations, and knows nothing of Terraform, clusters or runs.
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
)

// Image is the data of an image in a registry.
type Image struct {
	Pinned     string // the reference with its digest, which stands for the same content for ever; for a multi-platform image that of its index
	Entrypoint []string
	Cmd        []string
	Labels     map[string]string
}

// Program is what a container of the image runs: the entry point and the arguments after it. Empty means that the image does not say.
func (i Image) Program() []string { return slices.Concat(i.Entrypoint, i.Cmd) }

// ErrPlatforms says that the platforms of an image run different programs, so that no one answer holds on every node.
var ErrPlatforms = errors.New("its platforms have different entry points")

// Lookup requests an image from the registry, with the credentials that docker and podman store for the current user, by HTTPS, and by HTTP too at loopback and private
// addresses. Where it is not reachable or refuses, the error says for which image; its cause is the registry's own word. It is [ErrPlatforms]
// where the image has several platforms whose programs differ.
func Lookup(ctx context.Context, reference string) (Image, error) {
	image, err := lookUpImage(ctx, reference)
	if err != nil {
		return Image{}, fmt.Errorf("look image %q up in its registry: %w", reference, err)
	}
	return image, nil
}

func lookUpImage(ctx context.Context, text string) (Image, error) {
	reference, err := name.ParseReference(text)
	if err != nil {
		return Image{}, err
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

// configs are the configurations of each platform on which a step can run, at least one.
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
