package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// agentPatience is the time after which no other round of an agent begins.
const agentPatience = 2 * time.Minute

// agent measures the agent as a program: its size, and its resident memory while it stores and restores many files, and large ones.
func (b *fileBench) agent(ctx context.Context, r *report) error {
	program := filepath.Join(b.dir, "brane-agent")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/brane-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the agent: %w: %s", err, said)
	}
	info, err := os.Stat(program)
	if err != nil {
		return err
	}
	r.add("size of the agent", "MB", []float64{float64(info.Size()) / 1e6}, withUpperLimit(9.5))
	for _, work := range []struct {
		name string
		make func(dir string) error
	}{
		{"1 GiB in one file", func(dir string) error { return noise(filepath.Join(dir, "file"), 1<<30) }},
		{"100,000 files", func(dir string) error { return manyFiles(dir, 100_000, 100) }},
		{"100,000 files in one directory", func(dir string) error { return createFilesInOneDirectory(dir, 100_000) }},
	} {
		memory, err := r.repeatRounds("the agent with "+work.name, agentPatience, func(s samples) error {
			stored, restored, err := b.resident(ctx, program, work.make)
			s.add("stored", float64(stored)/(1<<20))
			s.add("restored", float64(restored)/(1<<20))
			return err
		})
		if err != nil {
			return err
		}
		r.add("agent that stores "+work.name, "MiB", memory["stored"], withUpperLimit(32))
		r.add("agent that restores "+work.name+", and finds them as they were", "MiB", memory["restored"], withUpperLimit(32))
	}
	return nil
}

// resident runs two steps, the second of which starts with the files of the first, and returns the peak memory of each step's agent.
func (b *fileBench) resident(ctx context.Context, program string, fill func(dir string) error) (stored, restored int64, err error) {
	run := filepath.Join(b.dir, "run")
	defer os.RemoveAll(run)
	if err := b.server.empty(ctx); err != nil {
		return 0, 0, err
	}
	store, err := b.open()
	if err != nil {
		return 0, 0, err
	}
	input, err := store.PutTree(ctx, files.Tree{})
	if err != nil {
		return 0, 0, err
	}
	part := strings.Repeat("0", files.FingerprintPart)
	first := agent.Step{Name: "first", Configuration: part, Seen: part, Layer: input}
	if stored, err = b.step(ctx, program, filepath.Join(run, "first"), first, fill); err != nil {
		return 0, 0, err
	}
	commits, err := store.Commits(ctx, map[string]files.Fingerprint{"first": files.NewFingerprint(part, part)})
	if err != nil {
		return 0, 0, err
	}
	second := agent.Step{Name: "second", Configuration: part, Seen: part, Layer: commits["first"].Layer}
	restored, err = b.step(ctx, program, filepath.Join(run, "second"), second, nil)
	return stored, restored, err
}

// step runs both containers of a step; fill acts as its program.
func (b *fileBench) step(ctx context.Context, program, dir string, step agent.Step, fill func(dir string) error) (memory int64, err error) {
	mount, data, secret := filepath.Join(dir, "mount"), filepath.Join(dir, "data"), filepath.Join(dir, "secret")
	for _, directory := range []string{mount, data, secret} {
		err = errors.Join(err, os.MkdirAll(directory, 0o700))
	}
	if err = errors.Join(err, os.WriteFile(filepath.Join(secret, agent.SecretKey), []byte(b.server.url), 0o600)); err != nil {
		return 0, err
	}
	step.Run, step.Deadline = "bench", time.Now().Add(time.Hour).Unix()
	text, err := step.Encode()
	if err != nil {
		return 0, err
	}
	directories := []string{"-mount", mount, "-data", data, "-secret", secret}
	container := func(path, verb string, args ...string) error {
		most := watchMemory(path)
		cmd := exec.CommandContext(ctx, path, append(append([]string{verb}, directories...), args...)...)
		cmd.Env = []string{agent.EnvStep + "=" + text, "PATH=" + os.Getenv("PATH")}
		said, err := cmd.CombinedOutput()
		if memory = max(memory, most()); err != nil {
			return fmt.Errorf("%s: %w: %s", verb, err, said)
		}
		return nil
	}
	if err := container(program, "stage"); err != nil {
		return 0, err
	}
	if fill != nil {
		if err := fill(data); err != nil {
			return 0, err
		}
	}
	return memory, container(filepath.Join(mount, filepath.Base(agent.Binary)), "run", "--", "true")
}

// createFilesInOneDirectory creates files in one directory.
func createFilesInOneDirectory(dir string, count int) error {
	for i := range count {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("a-file-with-a-longer-name-%06d.txt", i)), []byte(fmt.Sprint("content ", i)), 0o600); err != nil {
			return err
		}
	}
	return nil
}
