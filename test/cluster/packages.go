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

// debianPackage is one that the cluster needs, and how to see that what it brings is there: a machine may have
// it from elsewhere.
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

// isStatic is true for a program that runs where there are no libraries; the package busybox has another.
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

// missing names the packages that are not there.
func missing(packages []debianPackage) []string {
	var names []string
	for _, p := range packages {
		if !p.found() {
			names = append(names, p.name)
		}
	}
	return names
}

// errNotRoot tells what the launcher needs root for.
var errNotRoot = errors.New("a cluster makes namespaces, a bridge and cgroups, and needs root\n  hint: sudo make cluster-up")

// ensurePackages installs what is missing where it can, and says what to install where it cannot.
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
	// A machine that was just started may be installing something itself.
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
