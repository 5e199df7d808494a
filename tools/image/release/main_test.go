package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// startRegistry starts a registry that takes pushes only with what docker login has left, and gives its address.
func startRegistry(t *testing.T) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		free := (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.Path != "/v2/" // where clients learn how to log in
		if !free && user+":"+password != "robot:s3cret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	directory := t.TempDir()
	t.Setenv("DOCKER_CONFIG", directory) // the user's own is not for tests
	login := `{"auths":{"` + address + `":{"username":"robot","password":"s3cret"}}}`
	if err := os.WriteFile(filepath.Join(directory, "config.json"), []byte(login), 0o600); err != nil {
		t.Fatal(err)
	}
	return address
}

// TestAReleaseIsForBothProcessors builds what a release pushes: nodes of a cluster may be of either kind, and of both.
func TestAReleaseIsForBothProcessors(t *testing.T) {
	repository := startRegistry(t) + "/brane-agent"
	var said bytes.Buffer
	if err := release(t.Context(), []string{"-version", "1.2.3", "-root", "../../..", "-push", repository}, &said); err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(repository + ":1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(tag, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%s@%s\n", tag, digest); said.String() != want {
		t.Errorf("it said\n%swhere the registry has\n%s", said.String(), want)
	}
	commit, err := commitTime(t.Context(), "../../..")
	if err != nil {
		t.Fatal(err)
	}
	for architecture, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(architecture, func(t *testing.T) {
			image, err := remote.Image(tag, remote.WithContext(t.Context()), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: architecture}))
			if err != nil {
				t.Fatal(err)
			}
			file, err := image.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(file.Config)
			if err != nil {
				t.Fatal(err)
			}
			created := commit.UTC().Format("2006-01-02T15:04:05Z")
			want := `{"Entrypoint":["/brane-agent"],"Labels":{"org.opencontainers.image.created":"` + created + `","org.opencontainers.image.licenses":"Apache-2.0",` +
				`"org.opencontainers.image.source":"https://github.com/braneframework/terraform-provider-brane","org.opencontainers.image.version":"1.2.3"},"User":"65532:65532"}`
			if string(got) != want { // a user that is not root: the API server refuses the engine's pod otherwise
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if file.OS != "linux" || file.Architecture != architecture || !file.Created.Equal(commit) {
				t.Errorf("it is for %s/%s, of %s", file.OS, file.Architecture, file.Created)
			}
			files := contents(t, image)
			for _, program := range []string{"brane-agent", "brane-engine"} {
				header, err := elf.NewFile(bytes.NewReader(files[program]))
				if err != nil {
					t.Fatalf("%s: %v", program, err)
				}
				if header.Machine != machine {
					t.Errorf("%s is for %s, want %s", program, header.Machine, machine)
				}
				if libraries, err := header.ImportedLibraries(); err != nil || len(libraries) > 0 {
					t.Errorf("%s needs %q, %v", program, libraries, err)
				}
			}
			if !x509.NewCertPool().AppendCertsFromPEM(files["etc/ssl/certs/ca-certificates.crt"]) {
				t.Error("it contains no root CA certificates")
			}
			if architecture == runtime.GOARCH {
				runsAs(t, files["brane-agent"], "1.2.3\n")
			}
		})
	}
	t.Run("and is the same when it is built again", func(t *testing.T) {
		directory := filepath.Join(t.TempDir(), "layout")
		if err := release(t.Context(), []string{"-version", "1.2.3", "-root", "../../..", "-layout", directory}, io.Discard); err != nil {
			t.Fatal(err)
		}
		written, err := layout.ImageIndexFromPath(directory)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := written.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest != digest {
			t.Errorf("got %v, want %s", manifest.Manifests, digest)
		}
	})
}

// contents are an image's files.
func contents(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	all := mutate.Extract(image)
	defer func() { _ = all.Close() }()
	files := map[string][]byte{}
	for r := tar.NewReader(all); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// runsAs fails unless the agent runs here and has the version.
func runsAs(t *testing.T, agent []byte, version string) {
	t.Helper()
	at := filepath.Join(t.TempDir(), "brane-agent")
	if err := os.WriteFile(at, agent, 0o755); err != nil {
		t.Fatal(err)
	}
	if text, err := exec.Command(at, "version").CombinedOutput(); err != nil || string(text) != version {
		t.Errorf("version says %q, %v; want %q", text, err, version)
	}
}

func TestWhatItIsToldIsChecked(t *testing.T) {
	const either = "want either -push REPOSITORY or -layout DIRECTORY"
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"nowhere to put it":   {nil, either},
		"two places":          {[]string{"-push", "example.org/a", "-layout", "a"}, either},
		"a word too many":     {[]string{"-layout", "a", "b"}, either},
		"a version is no tag": {[]string{"-version", "1.2.3+dirty", "-push", "example.org/a"}, "tag can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-.ABCDEFGHIJKLMNOPQRSTUVWXYZ`: 1.2.3+dirty"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := release(t.Context(), tt.args, io.Discard); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}
