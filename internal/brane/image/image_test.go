package image

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// serve starts a registry on loopback, which requires the credential if there is one, and returns its address.
func serve(t *testing.T, username, password string) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); username != "" && (u != username || p != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func made(t *testing.T, config v1.Config) v1.Image {
	t.Helper()
	image, err := mutate.Config(empty.Image, config)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// index returns a multi-platform image; the keys are platforms such as linux/arm64.
func index(t *testing.T, images map[string]v1.Image) v1.ImageIndex {
	t.Helper()
	all := v1.ImageIndex(empty.Index)
	for name, image := range images {
		platform, err := v1.ParsePlatform(name)
		if err != nil {
			t.Fatal(err)
		}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return all
}

func push(t *testing.T, reference string, what remote.Taggable) string {
	t.Helper()
	tag, err := name.NewTag(reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Push(tag, what); err != nil {
		t.Fatal(err)
	}
	found, err := remote.Head(tag)
	if err != nil {
		t.Fatal(err)
	}
	return found.Digest.String()
}

// Names of platforms.
const (
	amd64       = "linux/amd64"
	arm64       = "linux/arm64"
	windows     = "windows/amd64"
	attestation = "unknown/unknown" // which docker buildx puts beside the platforms
)

func TestLookup(t *testing.T) {
	host := serve(t, "", "")
	digest := push(t, host+"/tools:1", made(t, v1.Config{
		Entrypoint: []string{"/entry", "-v"}, Cmd: []string{"run"}, WorkingDir: "/work", Labels: map[string]string{"l": "x"},
	}))
	image, err := Lookup(t.Context(), host+"/tools:1")
	if err != nil {
		t.Fatal(err)
	}
	want := Image{host + "/tools@" + digest, []string{"/entry", "-v"}, []string{"run"}, map[string]string{"l": "x"}}
	if fmt.Sprint(image) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", image, want)
	}
	if got := image.Program(); !slices.Equal(got, []string{"/entry", "-v", "run"}) {
		t.Errorf("program %q", got)
	}
}

func TestLookupMultiPlatform(t *testing.T) {
	host := serve(t, "", "")
	one := made(t, v1.Config{Entrypoint: []string{"/one"}})
	for title, tt := range map[string]struct {
		platforms map[string]v1.Image
		want      string
	}{
		"with the same program has one answer": {map[string]v1.Image{amd64: one, arm64: made(t, v1.Config{Entrypoint: []string{"/one"}, WorkingDir: "/x"})}, "[/one]"},
		"with different programs has none":     {map[string]v1.Image{amd64: one, arm64: made(t, v1.Config{Entrypoint: []string{"/two"}})}, `read image "HOST/a:1" from its registry: its platforms have different entry points`},
		"may have others than Linux":           {map[string]v1.Image{amd64: one, windows: made(t, v1.Config{Entrypoint: []string{"w.exe"}}), attestation: made(t, v1.Config{})}, "[/one]"},
		"may have none for Linux":              {map[string]v1.Image{windows: made(t, v1.Config{})}, `read image "HOST/a:1" from its registry: it has no image for Linux`},
	} {
		t.Run(title, func(t *testing.T) {
			digest := push(t, host+"/a:1", index(t, tt.platforms))
			image, err := Lookup(t.Context(), host+"/a:1")
			got := fmt.Sprint(image.Program())
			if err != nil {
				got = strings.ReplaceAll(err.Error(), host, "HOST")
			} else if image.Pinned != host+"/a@"+digest {
				t.Errorf("pinned as %s, not by the digest of the index %s", image.Pinned, digest)
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if _, err := Lookup(t.Context(), host+"/nothing:1"); err == nil || !strings.Contains(err.Error(), "NAME_UNKNOWN") {
		t.Errorf("an image that is not there: %v", err)
	}
	push(t, host+"/differ:1", index(t, map[string]v1.Image{amd64: one, arm64: made(t, v1.Config{Cmd: []string{"x"}})}))
	if _, err := Lookup(t.Context(), host+"/differ:1"); !errors.Is(err, ErrPlatforms) {
		t.Errorf("got %v, want ErrPlatforms", err)
	}
}

func TestLookupCredentials(t *testing.T) {
	host := serve(t, "robot", "s3cret-word")
	for title, tt := range map[string]struct{ config, want string }{
		"takes one for the registry":      {`{"auths":{"HOST":{"username":"robot","password":"s3cret-word"}}}`, "NAME_UNKNOWN"},
		"takes one as docker login keeps": {`{"auths":{"HOST":{"auth":"cm9ib3Q6czNjcmV0LXdvcmQ="}}}`, "NAME_UNKNOWN"},
		"refuses a wrong one":             {`{"auths":{"HOST":{"username":"robot","password":"wr0ng-word"}}}`, "401"},
		"refuses nobody's":                {`{"auths":{"other.example.org":{"username":"robot","password":"s3cret-word"}}}`, "401"},
	} {
		t.Run(title, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte(strings.ReplaceAll(tt.config, "HOST", host)), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("DOCKER_CONFIG", folder) // the user's own is not for tests
			_, err := Lookup(t.Context(), host+"/a:1")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "word") {
				t.Errorf("the error has a secret: %v", err)
			}
		})
	}
}

// TestPlainHTTPOnlyForPrivateAddresses checks that other registries are only contacted over HTTPS.
func TestPlainHTTPOnlyForPrivateAddresses(t *testing.T) {
	for reference, want := range map[string]string{
		"198.51.100.10:50050/library/a:1": "https",
		"10.0.0.7:50050/library/a:1":      "http",
		"registry.example.org/library/a":  "https",
	} {
		parsed, err := name.ParseReference(reference)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.Context().Scheme(); got != want {
			t.Errorf("%s: %s, want %s", reference, got, want)
		}
	}
}
