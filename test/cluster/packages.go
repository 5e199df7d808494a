package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// debianPackage is a package that the cluster needs, and a check for its content, which may also have been
// installed in another way.
type debianPackage struct {
	name  string
	found func() bool
}

var debianPackages = []debianPackage{
	{"runc", func() bool { return inPath("runc") }},
	{"containernetworking-plugins", func() bool { return isFile("/usr/lib/cni/bridge") && isFile("/usr/lib/cni/host-local") }},
	{"redis-server", func() bool { return inPath("redis-server") }},
	{"busybox-static", func() bool { return isStatic(busyboxFile) }},
	{"iproute2", func() bool { return inPath("ip") }},
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
func ensurePackages(ctx context.Context, st *status) error {
	if os.Geteuid() != 0 {
		return errNotRoot
	}
	names := missing(debianPackages)
	if len(names) == 0 {
		return nil
	}
	install := append([]string{"install", "-y", "-q", "--no-install-recommends"}, names...)
	if !isFile("/etc/debian_version") || !inPath("apt-get") {
		return fmt.Errorf("missing: %s\n  hint: these are Debian's names; on Debian, apt-get %s",
			strings.Join(names, ", "), strings.Join(install, " "))
	}
	return st.run("Debian packages "+strings.Join(names, ", "), func() error {
		for _, args := range [][]string{{"update", "-q"}, install} {
			if err := aptGet(ctx, args); err != nil {
				return err
			}
		}
		if names := missing(debianPackages); len(names) > 0 {
			return fmt.Errorf("still missing after apt-get install: %s", strings.Join(names, ", "))
		}
		return nil
	})
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
