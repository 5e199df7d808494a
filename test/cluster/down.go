package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// down stops the cluster of the directory and keeps its data. It does nothing if there is no cluster.
func down(ctx context.Context, dir string, st *status) error {
	if _, err := readIdentity(dir); err == nil {
		unlock, err := lockFile(ctx, filepath.Join(dir, "lock"))
		if err != nil {
			return err
		}
		defer unlock()
	}
	cl, err := machineClaims.of(dir)
	if err != nil {
		return err
	}
	if cl == nil {
		st.say("No cluster runs in %s.", dir)
		return nil
	}
	return st.run(fmt.Sprintf("Cluster %d stopped", cl.Number), func() error { return machineClaims.end(ctx, cl) })
}

// clean stops the cluster and removes its directory.
func clean(ctx context.Context, dir string, st *status) error {
	ours, err := isCluster(machineClaims, dir)
	if err != nil {
		return err
	}
	if !ours {
		return fmt.Errorf("%s contains no cluster and is not removed", dir)
	}
	if err := down(ctx, dir, st); err != nil {
		return err
	}
	return st.run("Directory removed", func() error { return os.RemoveAll(dir) })
}

// isCluster prevents that a mistyped path removes another directory. A directory that is missing or empty
// is accepted.
func isCluster(cs claims, dir string) (bool, error) {
	if cl, err := cs.of(dir); err != nil || cl != nil {
		return cl != nil, err
	}
	if _, err := os.Stat(identityFile(dir)); err == nil {
		return true, nil
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	return len(entries) == 0, err
}
