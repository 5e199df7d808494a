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

// cgroupMounts gives the cgroup hierarchies in a list of mounts like /proc/self/mounts: one with version 2,
// one for each controller with version 1.
func cgroupMounts(mounts string) []string {
	var found []string
	for line := range strings.Lines(mounts) {
		if f := strings.Fields(line); len(f) > 2 && (f[2] == "cgroup" || f[2] == "cgroup2") {
			found = append(found, f[1])
		}
	}
	return found
}

// cgroupFolders gives the cluster's cgroup in each hierarchy. Without one of its own, two kubelets on a
// machine would manage the same /kubepods.
func cgroupFolders(c cluster) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	mounts := cgroupMounts(string(b))
	folders := make([]string, len(mounts))
	for i, m := range mounts {
		folders[i] = filepath.Join(m, c.cgroup())
	}
	return folders, nil
}

func makeCgroups(c cluster) error {
	folders, err := cgroupFolders(c)
	if err != nil {
		return err
	}
	for _, f := range folders {
		if err := os.MkdirAll(f, 0o755); err != nil {
			return fmt.Errorf("make the cluster's cgroup: %w", err)
		}
	}
	return nil
}

func removeCgroups(ctx context.Context, c cluster) error {
	folders, err := cgroupFolders(c)
	if err != nil {
		return err
	}
	for _, f := range folders {
		if err := removeCgroup(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// removeCgroup removes a cgroup and those below. Its files are the kernel's and go with it.
func removeCgroup(ctx context.Context, folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroup(ctx, filepath.Join(folder, e.Name())); err != nil {
				return err
			}
		}
	}
	// Processes that were just killed leave their cgroup a moment later.
	for end := time.Now().Add(killPatience); ; {
		err := syscall.Rmdir(folder)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(end) {
			return fmt.Errorf("remove cgroup %s: %w", folder, err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
