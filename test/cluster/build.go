package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// upstream is a program of the cluster that is built once from its Go modules and kept in the cache. The directory with its name
// below test/cluster is the module that pins the versions.
type upstream struct {
	name     string
	title    string
	module   string   // whose version is shown
	modfile  string   // pins the versions; the file of its digests is beside it
	sources  []string // files that, with these two, the flags, the Go version and the architecture, determine the result
	pkg, out string   // the package, and the suffix of the cached name if the result is a directory
	tags     string
	linker   func(version string) string
	patience string // duration of a build
	packages int    // upper limit of compiled packages
}

var (
	kubernetes = upstream{
		name: "kube", title: "Kubernetes", module: "k8s.io/kubernetes",
		modfile: "go.mod", sources: []string{"main.go"}, pkg: ".",
		linker: stamp, patience: "6 to 16 minutes", packages: 2800,
	}
	// containerd is built without the plugins that this cluster does not use.
	containerd = upstream{
		name: "containerd", title: "containerd", module: "github.com/containerd/containerd/v2",
		modfile: "go.mod", pkg: "tool", out: "/",
		tags:   "no_btrfs,no_devmapper,no_zfs,no_tracing,no_rdt,no_systemd",
		linker: func(string) string { return "-s -w" }, patience: "1 to 5 minutes", packages: 1000,
	}
)

var kubernetesVersion = regexp.MustCompile(`(?m)^\s+k8s\.io/kubernetes v(1\.\d+)\.`)

// selectKubernetes returns the Kubernetes of a version such as "1.30", and its version. An empty version selects the one that kube/go.mod pins.
// kube/1.30.mod pins another one for the same main.go.
func selectKubernetes(root, version string) (upstream, string, error) {
	files, err := filepath.Glob(filepath.Join(root, "test/cluster", kubernetes.name, "*.mod"))
	if err != nil {
		return upstream{}, "", err
	}
	var known []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return upstream{}, "", err
		}
		pinned := kubernetesVersion.FindSubmatch(text)
		if pinned == nil {
			return upstream{}, "", fmt.Errorf("%s does not require k8s.io/kubernetes", file)
		}
		selected := kubernetes
		selected.modfile = filepath.Base(file)
		if found := string(pinned[1]); found == version || version == "" && selected.modfile == kubernetes.modfile {
			return selected, found, nil
		}
		known = append(known, string(pinned[1]))
	}
	return upstream{}, "", fmt.Errorf("test/cluster/kube has no Kubernetes %q, only %s", version, strings.Join(known, ", "))
}

// inputs returns the names of the files that determine the result.
func (u upstream) inputs() []string {
	return append([]string{u.modfile, strings.TrimSuffix(u.modfile, ".mod") + ".sum"}, u.sources...)
}

// file returns the path of the result in the cache, which contains a digest of all inputs.
func (u upstream) file(cache string, inputs map[string][]byte, goVersion string) string {
	h := sha256.New()
	for _, name := range u.inputs() {
		fmt.Fprintf(h, "%s %d\n%s", name, len(inputs[name]), inputs[name])
	}
	fmt.Fprintf(h, "%s%s %s", u.tags, goVersion, runtime.GOARCH)
	return filepath.Join(cache, u.name+"-"+hex.EncodeToString(h.Sum(nil)[:6]))
}

// build returns the cached file, or the directory of the programs if there are several. It builds it if the cache has none.
func (u upstream) build(ctx context.Context, o options, st *status) (string, error) {
	module := filepath.Join(o.root, "test/cluster", u.name)
	inputs := map[string][]byte{}
	for _, name := range u.inputs() {
		b, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			return "", err
		}
		inputs[name] = b
	}
	goVersion, err := goOutput(ctx, module, "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	file := u.file(o.cache, inputs, goVersion)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(o.cache, 0o755); err != nil {
		return "", err
	}
	version, err := goOutput(ctx, module, "list", "-modfile="+u.modfile, "-m", "-f", "{{.Version}}", u.module)
	if err != nil {
		return "", err
	}
	return file, st.run(u.title+" "+version+" built", func() error {
		st.note("on a cold cache " + u.patience + ", only once; kept as " + file)
		unlock, err := lockFile(ctx, filepath.Join(o.cache, u.name+".lock"))
		if err != nil {
			return err
		}
		defer unlock()
		if _, err := os.Stat(file); err == nil {
			return nil // another launcher has built it in the meantime
		}
		packages := 0
		count := func(string) {
			packages++
			st.note(fmt.Sprintf("%d of at most %d packages compiled", packages, u.packages))
		}
		if err := goBuild(ctx, module, u.pkg, file+".new"+u.out, u.linker(version), count, "-modfile="+u.modfile, "-tags="+u.tags); err != nil {
			return err
		}
		return os.Rename(file+".new", file)
	})
}

// stamp returns the linker flags that set the version of a release in its programs, as its own build does. kubectl
// cannot parse the default version.
func stamp(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	var b strings.Builder
	b.WriteString("-s -w")
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		fmt.Fprintf(&b, " -X %s.gitVersion=%s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s -X %[1]s.gitTreeState=clean", p, version, parts[0], parts[1])
	}
	return b.String()
}

// buildPrograms builds the programs of the images into the cluster's directory. Go's build cache makes it fast.
func buildPrograms(ctx context.Context, o options, dir string, st *status) (binaries, error) {
	built := binaries{
		agent: o.agent, pause: filepath.Join(dir, "pause"), engine: filepath.Join(dir, "brane-engine"), brane: filepath.Join(dir, "brane-package"),
	}
	if err := goBuild(ctx, filepath.Join(o.root, "test/cluster"), "./pause", built.pause, "-s -w", nil); err != nil {
		return built, err
	}
	if err := goBuild(ctx, o.root, "./test/brane-package", built.brane, "-s -w", nil); err != nil {
		return built, err
	}
	compiling := func(pkg string) { st.note("compiling " + pkg) }
	if err := goBuild(ctx, o.root, "./cmd/brane-engine", built.engine, "-s -w", compiling); err != nil {
		return built, err
	}
	if built.agent != "" {
		return built, nil
	}
	built.agent = filepath.Join(dir, "brane-agent")
	return built, goBuild(ctx, o.root, "./cmd/brane-agent", built.agent, "-s -w", compiling)
}

// goBuild builds a static program that depends only on its source: no C, no paths, and no commit ID, which would
// create a new agent image for every commit. It calls compiled for each compiled package.
func goBuild(ctx context.Context, module, pkg, out, linker string, compiled func(string), flags ...string) error {
	args := append([]string{"build", "-v", "-trimpath", "-buildvcs=false", "-ldflags=" + linker, "-o", out}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOWORK=off")
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var said []string
	for lines := bufio.NewScanner(output); lines.Scan(); {
		said = append(said, lines.Text())
		if compiled != nil && !strings.HasPrefix(lines.Text(), "go: ") {
			compiled(lines.Text())
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go build %s in %s: %w\n  %s", pkg, module, err, strings.Join(said[max(0, len(said)-20):], "\n  "))
	}
	return nil
}

func goOutput(ctx context.Context, module string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w", strings.Join(args, " "), module, err)
	}
	return strings.TrimSpace(string(out)), nil
}
