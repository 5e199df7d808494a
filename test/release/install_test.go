//go:build release

package release

import (
	"archive/zip"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// hosts are the registries in whose names the CLIs look for the provider.
var hosts = map[string]string{"terraform": "registry.terraform.io", "tofu": "registry.opentofu.org"}

const provider = "braneframework/brane"

// TestInstall installs the release with each CLI from each kind of mirror, writes a lock file, and applies a run whose pods have the agent of the release.
func TestInstall(t *testing.T) {
	f := openFiles(t, acctest.RepositoryPath("."))
	image := pushImage(t, f)
	tested := 0
	for cli, host := range hosts {
		program, err := exec.LookPath(cli)
		if err != nil {
			t.Logf("%s is not on the PATH", cli)
			continue
		}
		tested++
		for kind, open := range map[string]func(*testing.T, files, string) (installation string, environment []string){
			"filesystem mirror": openFilesystemMirror, "network mirror": openNetworkMirror,
		} {
			t.Run(cli+" from a "+kind, func(t *testing.T) {
				t.Parallel()
				s := acctest.NewEnv(t)
				installation, environment := open(t, f, host)
				c := acctest.NewCLIWith(t, program, installation)
				c.Env = append(c.Env, append(environment, "BRANE_AGENT_IMAGE="+image)...)
				c.WriteFile(t, "main.tf", required(f.Version)+s.Config(t, acctest.InfrastructureConfig+`
resource "brane_workflow_run" "test" {
  name           = "released"
  infrastructure = brane_infrastructure.test.name
  steps          = { hello = { image = "$TOOLS", command = ["sh", "-c", "echo hello > /data/hello"] } }
  outputs        = { hello = { path = "hello" } }
}

output "hello" {
  value = brane_workflow_run.test.outputs.hello.content
}
`))
				c.Run(t, "init", "-no-color")
				f.checkLock(t, c.Directory, host)
				c.Run(t, "init", "-no-color", "-lockfile=readonly")
				if got := c.Run(t, "version", "-json"); !strings.Contains(got, f.Version) {
					t.Errorf("the selected version is not %s: %s", f.Version, got)
				}
				c.DestroyAtEnd(t)
				c.Run(t, "apply", "-auto-approve", "-no-color")
				if got := c.Run(t, "output", "-raw", "hello"); got != "hello\n" {
					t.Errorf("the output is %q", got)
				}
			})
		}
		t.Run(cli+" refuses another archive than that of the lock file", func(t *testing.T) {
			t.Parallel()
			installation, _ := openFilesystemMirror(t, f, host)
			c := acctest.NewCLIWith(t, program, installation)
			c.WriteFile(t, "main.tf", required(f.Version))
			c.Run(t, "init", "-no-color")
			lock, err := os.ReadFile(filepath.Join(c.Directory, ".terraform.lock.hcl"))
			acctest.NoError(t, err)

			other := acctest.NewCLIWith(t, program, installation)
			other.WriteFile(t, "main.tf", required(f.Version))
			other.WriteFile(t, ".terraform.lock.hcl", string(lock))
			f.forge(t, regexp.MustCompile(`path = "(.+)"`).FindStringSubmatch(installation)[1], host)
			cmd, out := other.Command(t.Context(), "init", "-no-color")
			if err := cmd.Run(); err == nil || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "checksums") {
				t.Errorf("init: %v\n%s", err, out)
			}
		})
	}
	if tested == 0 {
		t.Error("there is neither terraform nor tofu on the PATH")
	}
}

// required is the block that asks for exactly this version, because a CLI does not select a pre-release for any other constraint.
func required(version string) string {
	return strings.Replace(acctest.RequiredProviders, `"`+provider+`"`, fmt.Sprintf("%q\n      version = %q", provider, version), 1)
}

// pushImage pushes the image of the agent to the registry of the test cluster and returns its reference.
func pushImage(t *testing.T, f files) string {
	t.Helper()
	tag, err := name.NewTag(acctest.Env{}.Getenv(t, "BRANE_REGISTRY") + "/released/brane-agent:" + f.Version)
	acctest.NoError(t, err)
	acctest.NoError(t, remote.WriteIndex(tag, f.imageIndex(t), remote.WithContext(t.Context())))
	return tag.String()
}

// openFilesystemMirror puts the archives into a directory in the packed layout.
func openFilesystemMirror(t *testing.T, f files, host string) (installation string, environment []string) {
	t.Helper()
	directory := t.TempDir()
	into := filepath.Join(directory, host, filepath.FromSlash(provider))
	acctest.NoError(t, os.MkdirAll(into, 0o755))
	for _, platform := range platforms {
		archive := f.name(platform + ".zip")
		acctest.NoError(t, os.WriteFile(filepath.Join(into, archive), f.read(t, archive), 0o600))
	}
	return fmt.Sprintf("filesystem_mirror {\n    path = %q\n  }", directory), nil
}

// openNetworkMirror serves the archives with the protocol for network mirrors: an index of the versions, an index of the archives of a version, and the archives.
// HTTPS is required; the CLI trusts its CA by SSL_CERT_FILE.
func openNetworkMirror(t *testing.T, f files, host string) (installation string, environment []string) {
	t.Helper()
	type archive struct {
		URL    string   `json:"url"`
		Hashes []string `json:"hashes"`
	}
	archives := map[string]archive{}
	sums := f.checksums(t)
	for _, platform := range platforms {
		file := f.name(platform + ".zip")
		archives[platform] = archive{"archives/" + file, []string{"zh:" + sums[file]}}
	}
	base := "/mirror/" + host + "/" + provider + "/"
	answer := func(value any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(value) // the CLI reports an answer that is cut
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"index.json", answer(map[string]any{"versions": map[string]any{f.Version: struct{}{}}}))
	mux.HandleFunc("GET "+base+f.Version+".json", answer(map[string]any{"archives": archives}))
	mux.Handle("GET "+base+"archives/", http.StripPrefix(base+"archives/", http.FileServer(http.Dir(f.directory))))
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	acctest.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	return fmt.Sprintf("network_mirror {\n    url = %q\n  }", server.URL+"/mirror/"), []string{"SSL_CERT_FILE=" + ca}
}

// checkLock checks that the lock file in a directory selects the release. A CLI knows the signature of a registry, but none of a mirror, so that it only writes the
// digest of the files in the archive.
func (f files) checkLock(t *testing.T, directory, host string) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(directory, ".terraform.lock.hcl"))
	acctest.NoError(t, err)
	for _, want := range []string{
		fmt.Sprintf("provider %q {", host+"/"+provider), fmt.Sprintf("version     = %q", f.Version), `"h1:`,
	} {
		if !strings.Contains(string(lock), want) {
			t.Errorf("the lock file does not contain %s:\n%s", want, lock)
		}
	}
}

// forge replaces the archive for this platform in a filesystem mirror by one with other content.
func (f files) forge(t *testing.T, directory, host string) {
	t.Helper()
	platform := runtime.GOOS + "_" + runtime.GOARCH
	to, err := os.Create(filepath.Join(directory, host, filepath.FromSlash(provider), f.name(platform+".zip")))
	acctest.NoError(t, err)
	archive := zip.NewWriter(to)
	for name, content := range f.unpack(t, platform) {
		w, err := archive.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, ExternalAttrs: 0o755 << 16})
		acctest.NoError(t, err)
		_, err = w.Write(slices.Concat(content, []byte("forged")))
		acctest.NoError(t, err)
	}
	acctest.NoError(t, archive.Close())
	acctest.NoError(t, to.Close())
}
