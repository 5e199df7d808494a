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
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// A slip of the keyboard must not cost someone another folder.
	if _, err := readIdentity(dir); err != nil && len(entries) > 0 {
		return fmt.Errorf("%s is not removed, it is no cluster's folder: %w", dir, err)
	}
	if err := down(ctx, dir, st); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the cluster's folder: %w", err)
	}
	return nil
}
