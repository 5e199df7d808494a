package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// down ends the folder's cluster. What it stored stays for the next up. Nothing there is fine.
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
	return st.run(fmt.Sprintf("Cluster %d ended", cl.Number), func() error { return machineClaims.end(ctx, cl) })
}

// clean ends the cluster and removes its folder.
func clean(ctx context.Context, dir string, st *status) error {
	ours, err := isCluster(machineClaims, dir)
	if err != nil {
		return err
	}
	if !ours {
		return fmt.Errorf("%s holds no cluster and is left alone", dir)
	}
	if err := down(ctx, dir, st); err != nil {
		return err
	}
	return st.run("Folder removed", func() error { return os.RemoveAll(dir) })
}

// isCluster keeps a slip of the keyboard from costing someone another folder. One that is not there or is empty
// passes: there is nothing to lose.
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
