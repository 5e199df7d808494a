package image

import (
	"archive/tar"
	"bytes"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// layered returns an image with one file in each layer.
func layered(t *testing.T, layers ...[2]string) v1.Image {
	t.Helper()
	image := empty.Image
	for _, entry := range layers {
		var text bytes.Buffer
		w := tar.NewWriter(&text)
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: entry[0], Mode: 0o644, Size: int64(len(entry[1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(entry[1])); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil })
		if err != nil {
			t.Fatal(err)
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			t.Fatal(err)
		}
	}
	return image
}

func TestFile(t *testing.T) {
	host := serve(t, "", "")
	for name, tt := range map[string]struct {
		image      v1.Image
		want, fail string
	}{
		"the last layer that has it": {layered(t, [2]string{"opt/wd/a.yml", "old"}, [2]string{"opt/wd/a.yml", "new"}, [2]string{"etc/x", ""}), "new", ""},
		"under its second name":      {layered(t, [2]string{"./opt/wd/b.yml", "b"}), "b", ""},
		"nowhere":                    {layered(t, [2]string{"opt/a.yml", "a"}), "", "the image does not contain it"},
		"no layers":                  {empty.Image, "", "the image does not contain it"},
		"removed":                    {layered(t, [2]string{"opt/wd/a.yml", "old"}, [2]string{"opt/wd/.wh.a.yml", ""}), "", "a later layer has removed it"},
		"larger than it may be":      {layered(t, [2]string{"opt/wd/a.yml", "much too long"}), "", "it has 13 bytes, more than the 8 that such a file may have"},
	} {
		t.Run(name, func(t *testing.T) {
			reference := host + "/library/" + strings.ReplaceAll(name, " ", "-") + ":1"
			push(t, reference, tt.image)
			got, err := File(t.Context(), reference, 8, "/opt/wd/a.yml", "/opt/wd/b.yml")
			if string(got) != tt.want || (err == nil) != (tt.fail == "") {
				t.Fatalf("got %q, %v", got, err)
			}
			if err != nil && err.Error() != `read /opt/wd/a.yml or /opt/wd/b.yml of image "`+reference+`": `+tt.fail {
				t.Errorf("got %v", err)
			}
		})
	}
	push(t, host+"/arm:1", index(t, map[string]v1.Image{"linux/arm64": layered(t, [2]string{"opt/wd/a.yml", "arm"}), "windows/amd64": empty.Image}))
	if got, err := File(t.Context(), host+"/arm:1", 8, "/opt/wd/a.yml"); err != nil || string(got) != "arm" {
		t.Errorf("of an image for arm64 alone: %q, %v", got, err)
	}
	if _, err := File(t.Context(), "a b", 8, "/x"); err == nil || !strings.HasPrefix(err.Error(), `read a file of image "a b": `) {
		t.Errorf("got %v", err)
	}
}
