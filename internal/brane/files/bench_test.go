package files

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// benchSize is large enough for a steady state and small enough for a laptop.
const benchSize = 256 << 20

// memory returns a directory in memory, so that no disk is measured.
func memory(b *testing.B) string {
	b.Helper()
	b.Setenv("TMPDIR", "/dev/shm")
	return b.TempDir()
}

func fill(b *testing.B, name string, size int) {
	b.Helper()
	content := make([]byte, size)
	r := rand.NewChaCha8(sha256.Sum256([]byte(name)))
	if _, err := r.Read(content); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		b.Fatal(err)
	}
}

// parallelRaw runs a command for as many values of the size of a chunk as benchSize contains, over 4 connections like the Store.
func parallelRaw(b *testing.B, command func(i int, buffer []byte) error) {
	b.Helper()
	var group errgroup.Group
	const connections = 4
	for c := range connections {
		group.Go(func() error {
			buffer := make([]byte, ChunkSize+2)
			for i := c; i < benchSize/ChunkSize; i += connections {
				if err := command(i, buffer); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLarge compares one large file with plain SET and GET of values of the size of a chunk. Only figures of the same run are
// comparable.
func BenchmarkLarge(b *testing.B) {
	client := dial(b, redistest.Start(b).URL())
	s := open(b, client, "bench")
	ctx := b.Context()
	dir := memory(b)
	fill(b, filepath.Join(dir, "large"), benchSize)
	var layer Layer
	empty := func(b *testing.B) {
		b.StopTimer()
		client.FlushAll(ctx)
		b.StartTimer()
	}
	b.Run("raw SET", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			empty(b)
			parallelRaw(b, func(i int, buffer []byte) error {
				return client.SetArgs(ctx, fmt.Sprint("raw:", i), buffer[:ChunkSize], redis.SetArgs{ExpireAt: time.Now().Add(time.Hour)}).Err()
			})
		}
	})
	b.Run("raw GET", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			parallelRaw(b, func(i int, buffer []byte) error {
				return client.GetToBuffer(ctx, fmt.Sprint("raw:", i), buffer).Err()
			})
		}
	})
	b.Run("put", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			empty(b)
			var err error
			if layer, err = snapshotLayer(ctx, s, dir, nil, nil, "step"); err != nil {
				b.Fatal(err)
			}
		}
		used := infoNumber(client.Info(ctx, "memory").Val(), "used_memory_dataset")
		b.ReportMetric(float64(used)/benchSize, "memory/data")
	})
	b.Run("read and verify", func(b *testing.B) {
		b.SetBytes(benchSize)
		tree, err := s.Tree(ctx, layer)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if err := s.Read(ctx, *tree.entries[0], io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("restore", func(b *testing.B) {
		b.SetBytes(benchSize)
		for b.Loop() {
			b.StopTimer()
			to := memory(b)
			b.StartTimer()
			if err := s.Restore(ctx, &Staged{Layer: layer}, to); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := os.RemoveAll(to); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}

// BenchmarkSmall compares 10,000 files of 4 KiB with cp -r.
func BenchmarkSmall(b *testing.B) {
	const count, size = 10_000, 4096
	client := dial(b, redistest.Start(b).URL())
	s := open(b, client, "bench")
	ctx := b.Context()
	dir := memory(b)
	for i := range count {
		directory := filepath.Join(dir, fmt.Sprint("d", i/100))
		if err := os.MkdirAll(directory, 0o750); err != nil {
			b.Fatal(err)
		}
		fill(b, filepath.Join(directory, strings.Repeat("f", 10)+fmt.Sprint(i)), size)
	}
	b.Run("cp -r", func(b *testing.B) {
		for b.Loop() {
			to := memory(b)
			if err := exec.Command("cp", "-r", dir, to).Run(); err != nil { // the benchmark's own directories
				b.Fatal(err)
			}
			b.StopTimer()
			if err := os.RemoveAll(to); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	var layer Layer
	b.Run("put", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			client.FlushAll(ctx)
			b.StartTimer()
			var err error
			if layer, err = snapshotLayer(ctx, s, dir, nil, nil, "step"); err != nil {
				b.Fatal(err)
			}
		}
		used := infoNumber(client.Info(ctx, "memory").Val(), "used_memory_dataset")
		b.ReportMetric(float64(used)/(count*size), "memory/data")
	})
	b.Run("restore", func(b *testing.B) {
		for b.Loop() {
			to := memory(b)
			if err := s.Restore(ctx, &Staged{Layer: layer}, to); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := os.RemoveAll(to); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
}
