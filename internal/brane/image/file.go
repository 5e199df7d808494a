package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// ErrNoFile reports that an image does not contain a file.
var ErrNoFile = errors.New("the image does not contain it")

// File returns the first of these files that the image contains, of at most limit bytes. It reads the layers from the last to the first, because a package's own
// files are in the last layers. Of a multi-platform image it reads linux/amd64, or else linux/arm64.
func File(ctx context.Context, reference string, limit int64, names ...string) (content []byte, err error) {
	parsed, err := name.ParseReference(reference)
	if err != nil {
		return nil, fmt.Errorf("read a file of image %q: %w", reference, err)
	}
	for _, architecture := range []string{"amd64", "arm64"} {
		var image v1.Image
		if image, err = remote.Image(parsed, append(remoteOptions(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: architecture}))...); err == nil {
			content, err = findFile(image, limit, names)
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s of image %q: %w", strings.Join(names, " or "), reference, err)
	}
	return content, nil
}

func findFile(image v1.Image, limit int64, names []string) ([]byte, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	for _, layer := range slices.Backward(layers) {
		content, err := readFromLayer(layer, limit, names)
		if !errors.Is(err, ErrNoFile) {
			return content, err
		}
	}
	return nil, ErrNoFile
}

// readFromLayer reads one of the files from one layer. A removed file is a whiteout in it: an empty file whose name begins with ".wh.".
func readFromLayer(layer v1.Layer, limit int64, names []string) (_ []byte, err error) {
	content, err := layer.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer content.Close() // it was only read
	for entries := tar.NewReader(content); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil, ErrNoFile
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean("/" + header.Name)
		switch {
		case header.Typeflag != tar.TypeReg:
		case slices.Contains(names, path.Join(path.Dir(name), strings.TrimPrefix(path.Base(name), ".wh."))) && strings.HasPrefix(path.Base(name), ".wh."):
			return nil, errors.New("a later layer has removed it")
		case !slices.Contains(names, name):
		case header.Size > limit:
			return nil, fmt.Errorf("it has %d bytes, more than the %d that such a file may have", header.Size, limit)
		default:
			return io.ReadAll(entries)
		}
	}
}
