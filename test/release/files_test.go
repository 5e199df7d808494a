//go:build release

package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

var (
	platforms         = []string{"darwin_amd64", "darwin_arm64", "freebsd_amd64", "freebsd_arm64", "linux_amd64", "linux_arm64", "windows_amd64", "windows_arm64"}
	imageArchitecture = []string{"amd64", "arm64"}
)

// files are the files of a release in a directory, which make release-snapshot has built.
type files struct{ directory, Version, Commit string }

// openFiles opens the files of a repository.
func openFiles(t *testing.T, repository string) files {
	t.Helper()
	f := files{directory: filepath.Join(repository, "dist")}
	acctest.NoError(t, json.Unmarshal(f.read(t, "metadata.json"), &f))
	return f
}

func (f files) path(name string) string { return filepath.Join(f.directory, name) }

func (f files) read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(f.path(name))
	acctest.NoError(t, err)
	return content
}

// name returns the name of a file of the release.
func (f files) name(end string) string { return "terraform-provider-brane_" + f.Version + "_" + end }

// checksums returns the SHA-256 of each file by its name.
func (f files) checksums(t *testing.T) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for line := range strings.Lines(string(f.read(t, f.name("SHA256SUMS")))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		sums[name] = sum
	}
	return sums
}

// imageIndex returns the image of the agent.
func (f files) imageIndex(t *testing.T) v1.ImageIndex {
	t.Helper()
	written, err := layout.ImageIndexFromPath(f.path("brane-agent"))
	acctest.NoError(t, err)
	manifest, err := written.IndexManifest()
	acctest.NoError(t, err)
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the layout has %d images", len(manifest.Manifests))
	}
	index, err := written.ImageIndex(manifest.Manifests[0].Digest)
	acctest.NoError(t, err)
	return index
}

// TestChecksums compares the list of checksums with the files. The registry reads it, and the CLI compares it with the archive that it downloads.
func TestChecksums(t *testing.T) {
	f := openFiles(t, acctest.RepositoryPath("."))
	var want []string
	for _, platform := range platforms {
		want = append(want, f.name(platform+".zip"), f.name(platform+".cdx.json"))
	}
	for _, architecture := range imageArchitecture {
		for _, program := range []string{"brane-agent", "brane-engine"} {
			want = append(want, fmt.Sprintf("%s_%s_linux_%s.cdx.json", program, f.Version, architecture))
		}
	}
	want = append(want, f.name("manifest.json"))
	var got []string
	for name, sum := range f.checksums(t) {
		got = append(got, name)
		at := name
		if name == f.name("manifest.json") {
			at = "../terraform-registry-manifest.json"
		}
		if digest := sha256.Sum256(f.read(t, at)); hex.EncodeToString(digest[:]) != sum {
			t.Errorf("%s does not have the checksum %s", name, sum)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files with a checksum (-want +got):\n%s", diff)
	}
}

// TestSignature verifies the signature of the checksums as a registry does, and that it is of nothing else.
func TestSignature(t *testing.T) {
	f := openFiles(t, acctest.RepositoryPath("."))
	home, err := os.MkdirTemp("", "gnupg-") //nolint:usetesting // the path of the socket of gpg-agent must be short
	acctest.NoError(t, err)
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() // gpg has started an agent, or not
		acctest.NoError(t, os.RemoveAll(home))
	})
	gpg := func(args ...string) error {
		out, err := exec.CommandContext(t.Context(), "gpg", append([]string{"--homedir", home, "--batch"}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("gpg: %w\n%s", err, out)
		}
		return nil
	}
	acctest.NoError(t, gpg("--import", f.path("signing-key.asc")))
	sums := f.path(f.name("SHA256SUMS"))
	acctest.NoError(t, gpg("--verify", sums+".sig", sums))
	changed := filepath.Join(t.TempDir(), "SHA256SUMS")
	acctest.NoError(t, os.WriteFile(changed, append(f.read(t, f.name("SHA256SUMS")), '\n'), 0o600))
	if err := gpg("--verify", sums+".sig", changed); err == nil {
		t.Error("the signature is also valid for other checksums")
	}
}

// TestArchives checks what is in each archive: the program with its version, and the license.
func TestArchives(t *testing.T) {
	f := openFiles(t, acctest.RepositoryPath("."))
	for _, platform := range platforms {
		program := "terraform-provider-brane_v" + f.Version
		if strings.HasPrefix(platform, "windows") {
			program += ".exe"
		}
		content := f.unpack(t, platform)
		if content["LICENSE"] == nil || content[program] == nil || len(content) != 2 {
			t.Errorf("the archive for %s has %d files, without LICENSE or %s", platform, len(content), program)
			continue
		}
		f.checkMaterials(t, f.name(platform+".cdx.json"), content[program])
	}
}

// unpack returns the files in the archive for a platform.
func (f files) unpack(t *testing.T, platform string) map[string][]byte {
	t.Helper()
	archive, err := zip.OpenReader(f.path(f.name(platform + ".zip")))
	acctest.NoError(t, err)
	defer archive.Close()
	content := map[string][]byte{}
	for _, file := range archive.File {
		opened, err := file.Open()
		acctest.NoError(t, err)
		content[file.Name], err = io.ReadAll(opened)
		acctest.NoError(t, err)
	}
	return content
}

// checkMaterials compares a bill of materials with the modules that a program was built from.
func (f files) checkMaterials(t *testing.T, name string, program []byte) {
	t.Helper()
	type component struct{ Name, Version string }
	var bill struct {
		BOMFormat, SpecVersion string
		Metadata               struct{ Component component }
		Components             []component
	}
	acctest.NoError(t, json.Unmarshal(f.read(t, name), &bill))
	info, err := buildinfo.Read(bytes.NewReader(program))
	acctest.NoError(t, err)
	want := []component{{"std", info.GoVersion}}
	for _, module := range info.Deps {
		want = append(want, component{module.Path, module.Version})
	}
	sort := func(components []component) {
		slices.SortFunc(components, func(a, b component) int { return strings.Compare(a.Name, b.Name) })
	}
	sort(want)
	sort(bill.Components)
	if diff := cmp.Diff(want, bill.Components); diff != "" {
		t.Errorf("components in %s (-want +got):\n%s", name, diff)
	}
	if bill.BOMFormat != "CycloneDX" || bill.Metadata.Component != (component{info.Main.Path, "v" + f.Version}) {
		t.Errorf("%s is in the format %s and of %v", name, bill.BOMFormat, bill.Metadata.Component)
	}
}

// TestImage checks that the image is for both architectures, and that the bills of materials are those of its programs.
func TestImage(t *testing.T) {
	f := openFiles(t, acctest.RepositoryPath("."))
	index := f.imageIndex(t)
	manifest, err := index.IndexManifest()
	acctest.NoError(t, err)
	var found []string
	for _, entry := range manifest.Manifests {
		found = append(found, entry.Platform.Architecture)
		image, err := index.Image(entry.Digest)
		acctest.NoError(t, err)
		for _, program := range []string{"brane-agent", "brane-engine"} {
			f.checkMaterials(t, fmt.Sprintf("%s_%s_linux_%s.cdx.json", program, f.Version, entry.Platform.Architecture), readFile(t, image, program))
		}
	}
	if diff := cmp.Diff(imageArchitecture, found); diff != "" {
		t.Errorf("architectures (-want +got):\n%s", diff)
	}
}

// readFile returns a file of an image.
func readFile(t *testing.T, image v1.Image, name string) []byte {
	t.Helper()
	content := mutate.Extract(image)
	defer content.Close()
	for files := tar.NewReader(content); ; {
		header, err := files.Next()
		acctest.NoError(t, err)
		if header.Name == name {
			file, err := io.ReadAll(files)
			acctest.NoError(t, err)
			return file
		}
	}
}

// TestBuildAgain builds the commit in another clone, at another time. All files must be the same: with them, everyone can check that a release was built from
// its commit. The clone shares the build cache, which contains packages by the content of their files.
func TestBuildAgain(t *testing.T) {
	root := acctest.RepositoryPath(".")
	f := openFiles(t, root)
	run := func(directory, name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = directory
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if head := run(root, "git", "rev-parse", "HEAD"); head != f.Commit || run(root, "git", "status", "--porcelain") != "" {
		t.Fatalf("dist was built from %s, or from files that are not committed; HEAD is %s. Commit, and run make test-release again", f.Commit, head)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	run(root, "git", "clone", "--quiet", "--no-local", ".", clone)
	run(clone, "git", "checkout", "--quiet", f.Commit)
	acctest.NoError(t, os.Mkdir(filepath.Join(clone, ".bin"), 0o755))
	for _, program := range []string{"goreleaser", "cyclonedx-gomod"} {
		acctest.NoError(t, os.Symlink(filepath.Join(root, ".bin", program), filepath.Join(clone, ".bin", program)))
	}
	run(clone, "tools/release/snapshot")
	again := openFiles(t, clone)
	if diff := cmp.Diff(f.checksums(t), again.checksums(t)); diff != "" {
		t.Errorf("checksums (-first +second):\n%s", diff)
	}
	first, err := f.imageIndex(t).Digest()
	acctest.NoError(t, err)
	second, err := again.imageIndex(t).Digest()
	acctest.NoError(t, err)
	if first != second {
		t.Errorf("the digest of the image is %s, and then %s", first, second)
	}
}
