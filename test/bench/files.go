package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

const (
	largeSize   = 256 << 20
	smallCount  = 10_000
	smallSize   = 4096
	connections = 4 // the default of package files
	rounds      = 15
)

// measureFiles compares package files with Redis itself and with cp, all in memory and alternately: each round runs every task once.
func measureFiles(ctx context.Context, r *report, o options) (err error) {
	files.Overlap() // as the agent does
	s, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	dir, err := os.MkdirTemp("/dev/shm", "brane-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &fileBench{server: s, dir: dir}
	if b.store, err = b.open(); err != nil {
		return err
	}
	if err := b.large(ctx, r); err != nil {
		return err
	}
	if err := b.small(ctx, r); err != nil {
		return err
	}
	if err := b.reuse(ctx, r); err != nil {
		return err
	}
	if program := o.peers[juiceFS]; program != "" {
		if err := b.compareJuiceFS(ctx, r, program); err != nil {
			return err
		}
	}
	return b.agent(ctx, r)
}

type fileBench struct {
	server *server
	store  *files.Store
	dir    string
}

// open returns a new store: one that has stored something looks it up again before it publishes more.
func (b *fileBench) open() (*files.Store, error) {
	return files.Open(files.Config{Redis: b.server.client, Run: "bench", Deadline: time.Now().Add(time.Hour), Parallel: connections})
}

// task is one of the compared tasks.
type task struct {
	name   string
	before func() error // not measured; may be nil
	do     func() error
}

// race runs all tasks alternately, several times, and returns their seconds.
func race(tasks ...task) (samples, error) {
	took := samples{}
	for range rounds {
		for _, t := range tasks {
			if t.before != nil {
				if err := t.before(); err != nil {
					return nil, fmt.Errorf("%s: %w", t.name, err)
				}
			}
			if err := took.addTask(t.name, t.do); err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	return took, nil
}

// throughput returns the MB/s of a task that transfers a number of bytes.
func throughput(took samples, task string, bytes float64) []float64 {
	all := make([]float64, len(took[task]))
	for i, seconds := range took[task] {
		all[i] = bytes / seconds / 1e6
	}
	return all
}

func (b *fileBench) large(ctx context.Context, r *report) error {
	from, to := filepath.Join(b.dir, "large"), filepath.Join(b.dir, "restored")
	if err := os.Mkdir(from, 0o700); err != nil {
		return err
	}
	if err := noise(filepath.Join(from, "file"), largeSize); err != nil {
		return err
	}
	defer os.RemoveAll(from)
	var stored files.Stored
	empty := func() error { return b.server.empty(ctx) }
	rawSET := func() error {
		return rawly(func(key string, buffer []byte) error {
			return b.server.client.SetArgs(ctx, key, buffer[:files.ChunkSize], redis.SetArgs{ExpireAt: time.Now().Add(time.Hour)}).Err()
		})
	}
	written, err := race(
		task{"raw SET", empty, rawSET},
		task{"put", empty, func() (err error) {
			stored, err = b.store.Snapshot(ctx, from, nil, nil, "bench")
			return err
		}},
	)
	if err != nil {
		return err
	}
	used, err := b.server.memory(ctx)
	if err != nil {
		return err
	}
	// Both exist before anything is read: the first read after a write is slower.
	if err := rawSET(); err != nil {
		return err
	}
	tree, err := b.store.Tree(ctx, stored.Layer)
	if err != nil {
		return err
	}
	read, err := race(
		task{"raw GET", nil, func() error {
			return rawly(func(key string, buffer []byte) error { return b.server.client.GetToBuffer(ctx, key, buffer).Err() })
		}},
		task{"read and verify", nil, func() error {
			file, _ := tree.Lookup("file")
			return b.store.Read(ctx, file, io.Discard)
		}},
	)
	if err != nil {
		return err
	}
	restored, err := race(task{"restore", func() error { return fresh(to) }, func() error {
		return b.store.Restore(ctx, &files.Staged{Layer: stored.Layer}, to)
	}})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d MiB in one file", largeSize>>20)
	r.add("raw SET of "+what, "MB/s", throughput(written, "raw SET", largeSize))
	r.add("raw GET of "+what, "MB/s", throughput(read, "raw GET", largeSize))
	r.add("put of "+what, "× the speed of raw SET", written.divideRounds("raw SET", "put"), withLowerLimit(0.55))
	r.add("read and verify of "+what, "× the speed of raw GET", read.divideRounds("raw GET", "read and verify"), withLowerLimit(0.5))
	r.add("restore of "+what+" into memory", "MB/s", throughput(restored, "restore", largeSize))
	r.add("Redis' memory for "+what, "% of the data", []float64{100 * float64(used) / largeSize}, withUpperLimit(102))
	return errors.Join(os.RemoveAll(to), b.server.empty(ctx))
}

func (b *fileBench) small(ctx context.Context, r *report) error {
	from, to := filepath.Join(b.dir, "small"), filepath.Join(b.dir, "restored")
	if err := manyFiles(from, smallCount, smallSize); err != nil {
		return err
	}
	defer os.RemoveAll(from)
	var stored files.Stored
	took, err := race(
		task{"cp", func() error { return os.RemoveAll(to) }, func() error { return exec.CommandContext(ctx, "cp", "-r", from, to).Run() }},
		task{"put", func() error { return b.server.empty(ctx) }, func() error {
			_, err := b.store.Snapshot(ctx, from, nil, nil, "bench")
			return err
		}},
		task{"restore", func() (err error) {
			stored, err = b.store.Snapshot(ctx, from, nil, nil, "bench")
			return errors.Join(err, fresh(to))
		}, func() error {
			return b.store.Restore(ctx, &files.Staged{Layer: stored.Layer}, to)
		}},
	)
	if err != nil {
		return err
	}
	used, err := b.server.memory(ctx)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d files of %d bytes", smallCount, smallSize)
	r.add("cp -r of "+what, "ms", took.scaleRounds("cp", 1000))
	r.add("put of "+what, "× cp -r", took.divideRounds("put", "cp"), withUpperLimit(1.2))
	r.add("restore of "+what, "× cp -r", took.divideRounds("restore", "cp"), withUpperLimit(1.2))
	r.add("Redis' memory for "+what, "% of the data", []float64{100 * float64(used) / (smallCount * smallSize)}, withUpperLimit(102))
	return errors.Join(os.RemoveAll(to), b.server.empty(ctx))
}

// rawly sends a command for each chunk of a large file, over as many connections as package files uses.
func rawly(command func(key string, buffer []byte) error) error {
	var group errgroup.Group
	for c := range connections {
		group.Go(func() error {
			buffer := make([]byte, files.ChunkSize+2)
			for i := c; i < largeSize/files.ChunkSize; i += connections {
				if err := command(fmt.Sprint("raw:", i), buffer); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func fresh(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) }

// noise creates a file that cannot be compressed and in which no two chunks are the same.
func noise(name string, size int64) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.CopyN(f, rand.NewChaCha8([32]byte{1}), size)
	return err
}

// manyFiles creates files of noise, a hundred in each directory.
func manyFiles(dir string, count, size int) error {
	source := rand.NewChaCha8([32]byte{2})
	content := make([]byte, size)
	for i := range count {
		directory := filepath.Join(dir, fmt.Sprintf("directory%04d", i/100))
		if err := os.MkdirAll(directory, 0o700); err != nil {
			return err
		}
		if _, err := source.Read(content); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(directory, fmt.Sprintf("file%06d", i)), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
