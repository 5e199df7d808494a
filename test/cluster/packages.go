package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// debianPackage is a package that the cluster needs, and a check for its content, which may also have been
// installed in another way.
type debianPackage struct {
	name  string
	found func() bool
}

// debianPackages are the packages of a cluster with this Redis server.
func debianPackages(redis string) []debianPackage {
	return []debianPackage{
		{"runc", func() bool { return inPath("runc") }},
		{"containernetworking-plugins", func() bool { return isFile("/usr/lib/cni/bridge") && isFile("/usr/lib/cni/host-local") }},
		{redis, func() bool { return inPath(redis) }},
		{"busybox-static", func() bool { return isStatic(busyboxFile) }},
		{"iproute2", func() bool { return inPath("ip") }},
	}
}

func inPath(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// isStatic reports whether a program is statically linked. The one in Debian's package busybox is not.
func isStatic(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}

// missing returns the names of the missing packages.
func missing(packages []debianPackage) []string {
	var names []string
	for _, p := range packages {
		if !p.found() {
			names = append(names, p.name)
		}
	}
	return names
}

// errNotRoot names the operations that need root.
var errNotRoot = errors.New("a cluster creates namespaces, a bridge and cgroups, which needs root\n  hint: sudo make cluster-up")

// ensurePackages installs the missing packages, or returns an error that names them if it cannot.
func ensurePackages(ctx context.Context, redis string, st *status) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	names := missing(debianPackages(redis))
	if len(names) == 0 {
		return nil
	}
	install := append([]string{"install", "-y", "-q", "--no-install-recommends"}, names...)
	if !isFile("/etc/debian_version") || !inPath("apt-get") {
		return fmt.Errorf("missing: %s\n  hint: these are Debian's names; on Debian, apt-get %s",
			strings.Join(names, ", "), strings.Join(install, " "))
	}
	return st.run("Debian packages "+strings.Join(names, ", "), func() error {
		sources, remove, err := addBackports(names)
		if err != nil {
			return err
		}
		defer remove()
		for _, args := range [][]string{{"update", "-q"}, install} {
			if err := aptGet(ctx, slices.Concat(sources, args)); err != nil {
				return err
			}
		}
		if names := missing(debianPackages(redis)); len(names) > 0 {
			return fmt.Errorf("still missing after apt-get install: %s", strings.Join(names, ", "))
		}
		return nil
	})
}

// backports is where Debian 12 has Valkey. Later versions have it with their other packages.
const backports = "deb http://deb.debian.org/debian bookworm-backports main\n"

// addBackports returns options for apt-get if a package is only in the backports of the installed Debian. The list of sources of the machine is not changed.
func addBackports(names []string) (options []string, remove func(), err error) {
	release, _ := os.ReadFile("/etc/os-release") // without it, the package is searched for in the sources of the machine
	if !slices.Contains(names, "valkey-server") || !bytes.Contains(release, []byte("VERSION_CODENAME=bookworm\n")) {
		return nil, func() {}, nil
	}
	own, err := os.ReadFile("/etc/apt/sources.list")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	list, err := os.CreateTemp("", "sources-*.list")
	if err != nil {
		return nil, nil, err
	}
	_, err = list.Write(append(own, "\n"+backports...))
	if err := errors.Join(err, list.Close()); err != nil {
		return nil, nil, err
	}
	return []string{"-o", "Dir::Etc::SourceList=" + list.Name()}, func() { _ = os.Remove(list.Name()) }, nil // one small file may remain
}

func aptGet(ctx context.Context, args []string) error {
	// A machine that has just started may be installing packages.
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)...)
	// RUNLEVEL=1 keeps the packages from starting their services: the cluster runs its own.
	cmd.Env = append(os.Environ(), "RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		said := strings.Split(strings.TrimSpace(out.String()), "\n")
		return fmt.Errorf("apt-get %s: %w\n  %s", strings.Join(args, " "), err, strings.Join(said[max(0, len(said)-8):], "\n  "))
	}
	return nil
}
