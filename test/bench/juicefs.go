package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// juiceFS is the name of the peer that stores files in Redis as well.
const juiceFS = "JuiceFS"

// peerPatience is the time after which no other round of a comparison of file stores begins.
const peerPatience = 5 * time.Minute

// compareJuiceFS compares package files with a JuiceFS whose metadata and blocks are in a Redis without persistence as well. Each reads files that another
// process has written, as a step does.
func (b *fileBench) compareJuiceFS(ctx context.Context, r *report, program string) error {
	for _, compared := range []struct {
		name string
		make func(dir string) error
	}{
		{"1 GiB in one file", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), noise(filepath.Join(dir, "file"), 1<<30))
		}},
		{fmt.Sprintf("%d files of %d bytes", smallCount, smallSize), func(dir string) error { return manyFiles(dir, smallCount, smallSize) }},
	} {
		from, to := filepath.Join(b.dir, "compared"), filepath.Join(b.dir, "restored")
		if err := compared.make(from); err != nil {
			return err
		}
		s, err := r.repeatRounds("package files and "+juiceFS+", "+compared.name, peerPatience, func(s samples) error {
			return errors.Join(b.addStored(ctx, s, from, to), b.addVolume(ctx, s, program, from, to))
		})
		if err := errors.Join(err, os.RemoveAll(from), os.RemoveAll(to), b.server.empty(ctx)); err != nil {
			return err
		}
		r.add("put of "+compared.name, "s", s["put"], withPeer(juiceFS, s["volume put"]))
		r.add("restore of "+compared.name, "s", s["restore"], withPeer(juiceFS, s["volume restore"]))
	}
	return nil
}

// addStored adds the times to store and restore a directory with package files.
func (b *fileBench) addStored(ctx context.Context, s samples, from, to string) error {
	if err := b.server.empty(ctx); err != nil {
		return err
	}
	writer, err := b.open()
	if err != nil {
		return err
	}
	var stored files.Stored
	err = s.addTask("put", func() (err error) {
		stored, err = writer.Snapshot(ctx, from, nil, nil, "bench")
		return err
	})
	if err != nil {
		return err
	}
	reader, err := b.open()
	if err = errors.Join(err, fresh(to)); err != nil {
		return err
	}
	err = s.addTask("restore", func() error { return reader.Restore(ctx, &files.Staged{Layer: stored.Layer}, to) })
	return errors.Join(err, b.server.empty(ctx))
}

// addVolume adds the times to copy a directory to a new volume of JuiceFS, and from it.
func (b *fileBench) addVolume(ctx context.Context, s samples, program, from, to string) (err error) {
	server, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	format := exec.CommandContext(ctx, program, "format", "--storage", "redis", "--bucket", server.url, "--trash-days", "0", server.url, "bench")
	if said, err := format.CombinedOutput(); err != nil {
		return fmt.Errorf("format a volume: %w: %s", err, said)
	}
	mount := filepath.Join(b.dir, "volume")
	if err := fresh(mount); err != nil {
		return err
	}
	for _, copied := range []struct{ name, from, to string }{{"volume put", from, filepath.Join(mount, "copy")}, {"volume restore", filepath.Join(mount, "copy"), to}} {
		unmount, err := mountVolume(ctx, program, server.url, mount)
		if err != nil {
			return err
		}
		err = os.RemoveAll(to)
		if err == nil {
			err = s.addTask(copied.name, func() error { return exec.CommandContext(ctx, "cp", "-r", copied.from, copied.to).Run() })
		}
		if err := errors.Join(err, unmount()); err != nil {
			return err
		}
	}
	return os.Remove(mount)
}

// mountVolume mounts a volume without a cache on disk. It reports nothing to JuiceFS' authors.
func mountVolume(ctx context.Context, program, url, mount string) (unmount func() error, err error) {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "mount", "--no-usage-report", "--cache-size", "0", "--metrics", "127.0.0.1:0", url, mount)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	unmount = func() error {
		if err := unix.Unmount(mount, 0); err != nil && !errors.Is(err, unix.EINVAL) { // it is not mounted
			return errors.Join(fmt.Errorf("unmount %s: %w", mount, err), cmd.Process.Kill())
		}
		return <-ended
	}
	for deadline := time.Now().Add(time.Minute); ; {
		if isMounted(mount) {
			return unmount, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("mount a volume: %w: %s", err, said.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("%s is not mounted after a minute", mount), cmd.Process.Kill())
		}
	}
}

// isMounted reports whether a directory is the root of a volume, whose inode is always 1.
func isMounted(dir string) bool {
	var status unix.Stat_t
	return unix.Stat(dir, &status) == nil && status.Ino == 1
}
