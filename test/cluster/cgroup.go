package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cgroupMounts returns the cgroup hierarchies in a list of mounts like /proc/self/mounts: one for version 2,
// one per controller for version 1.
func cgroupMounts(mounts string) []string {
	var found []string
	for line := range strings.Lines(mounts) {
		if f := strings.Fields(line); len(f) > 2 && (f[2] == "cgroup" || f[2] == "cgroup2") {
			found = append(found, f[1])
		}
	}
	return found
}

// cgroupDirectories returns the cluster's cgroup in each hierarchy. Without a dedicated cgroup, two kubelets on a
// machine would manage the same /kubepods.
func cgroupDirectories(c cluster) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	mounts := cgroupMounts(string(b))
	directories := make([]string, len(mounts))
	for i, m := range mounts {
		directories[i] = filepath.Join(m, c.cgroup())
	}
	return directories, nil
}

func makeCgroups(c cluster) error {
	directories, err := cgroupDirectories(c)
	if err != nil {
		return err
	}
	for _, f := range directories {
		if err := os.MkdirAll(f, 0o755); err != nil {
			return fmt.Errorf("create the cluster's cgroup: %w", err)
		}
	}
	return nil
}

func removeCgroups(ctx context.Context, c cluster) error {
	directories, err := cgroupDirectories(c)
	if err != nil {
		return err
	}
	for _, f := range directories {
		if err := removeCgroup(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroup removes a cgroup and its descendants. The kernel removes their files.
func removeCgroup(ctx context.Context, directory string) error {
	entries, err := os.ReadDir(directory)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroup(ctx, filepath.Join(directory, e.Name())); err != nil {
				return err
			}
		}
	}
	// Processes that were just killed leave their cgroup with a delay.
	for end := time.Now().Add(killPatience); ; {
		err := syscall.Rmdir(directory)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(end) {
			return fmt.Errorf("remove cgroup %s: %w", directory, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
