package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// fileLayer compares package files with Redis itself and with cp, all in memory and alternately: each round runs every task once.
func fileLayer(ctx context.Context, r *report) (err error) {
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

// times are the durations of the rounds of each task.
type times map[string][]time.Duration

// race runs all tasks alternately, several times.
func race(tasks ...task) (times, error) {
	took := times{}
	for range rounds {
		for _, t := range tasks {
			if t.before != nil {
				if err := t.before(); err != nil {
					return nil, fmt.Errorf("%s: %w", t.name, err)
				}
			}
			began := time.Now()
			if err := t.do(); err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
			took[t.name] = append(took[t.name], time.Since(began))
		}
	}
	return took, nil
}

// seconds returns the median duration of a task.
func (t times) seconds(name string) float64 { return middle(t[name], time.Duration.Seconds) }

// ratio returns the median ratio of the durations of two tasks in the same round, because disturbances slow both.
func (t times) ratio(of, to string) float64 {
	rounds := make([]float64, len(t[of]))
	for i := range rounds {
		rounds[i] = t[of][i].Seconds() / t[to][i].Seconds()
	}
	return middle(rounds, func(ratio float64) float64 { return ratio })
}

func middle[T cmp.Ordered](all []T, number func(T) float64) float64 {
	return number(slices.Sorted(slices.Values(all))[len(all)/2])
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
	r.add("raw SET of %d MiB, %d connections: MB/s", largeSize/written.seconds("raw SET")/1e6, 0, largeSize>>20, connections)
	r.add("raw GET of %d MiB: MB/s", largeSize/read.seconds("raw GET")/1e6, 0, largeSize>>20)
	r.least("put of a large file: % of raw SET", 100*written.ratio("raw SET", "put"), 55)
	r.least("read and verify of it: % of raw GET", 100*read.ratio("raw GET", "read and verify"), 50)
	r.add("restore of it into memory: MB/s", largeSize/restored.seconds("restore")/1e6, 0)
	r.add("Redis' memory for it: %% of the data", 100*float64(used)/largeSize, 102)
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
	r.add("cp -r of %s: ms", 1000*took.seconds("cp"), 0, what)
	r.add("put of them: × cp -r", took.ratio("put", "cp"), 1.2)
	r.add("restore of them: × cp -r", took.ratio("restore", "cp"), 1.2)
	r.add("Redis' memory for them: %% of the data", 100*float64(used)/(smallCount*smallSize), 102)
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
