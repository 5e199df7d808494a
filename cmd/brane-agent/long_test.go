//go:build linux && long

package main

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// maxResident limits the memory of the agent in bytes.
const maxResident = 32 << 20

// TestLongAFileOf5GiB stores and restores a file within the limit. It needs 5 GiB of memory for Redis and 10 GiB of disk.
func TestLongAFileOf5GiB(t *testing.T) {
	const size = 5 << 30
	r := newRun(t, nil)
	program := built(t)
	first := r.pod("first", nil)
	first.bounded(t, program, func() {
		// A number at the beginning of each chunk makes them all different.
		f, err := os.Create(filepath.Join(first.data, "large"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for at := int64(0); at < size; at += 1 << 19 {
			if _, err := f.WriteAt([]byte(strconv.FormatInt(at, 10)), at); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
	})
	second := r.pod("second", map[string][]string{"second": {"first"}, "first": nil})
	second.bounded(t, program, nil)
	if text, err := exec.Command("cmp", filepath.Join(first.data, "large"), filepath.Join(second.data, "large")).CombinedOutput(); err != nil {
		t.Errorf("the restored file differs: %v %s", err, text)
	}
	// In one process, which reads everything again.
	third := r.pod("third", map[string][]string{"third": {"first"}, "first": nil})
	third.alone = true
	resident(t, third.main("touch", filepath.Join(third.data, "large")), program)
}

func TestLongAStepSurvivesAPauseOfRedis(t *testing.T) { survivesAPause(t, time.Minute) }

// TestLongTheUnionOfManyFiles merges the files of two steps without holding them in memory. Each step has rewritten half of its input.
func TestLongTheUnionOfManyFiles(t *testing.T) {
	const many = 100_000
	r := newRun(t, nil)
	var packs []files.Entry // with as many files in each pack as the file layer writes
	for i := range many / 2000 {
		layer, err := r.store.PutInputs(t.Context(), map[string]files.Source{"seed": {Content: fmt.Appendf(nil, "content %3d", i)}})
		if err != nil {
			t.Fatal(err)
		}
		tree, err := r.store.Tree(t.Context(), layer)
		if err != nil {
			t.Fatal(err)
		}
		file, _ := tree.Lookup("seed")
		packs = append(packs, file)
	}
	for _, step := range []string{"one", "other"} {
		var entries []files.Entry
		for i := range many {
			e := packs[i/2000]
			if e.Path = fmt.Sprintf("d%03d/file-%07d", i/1000, i); i%2 == 0 {
				e.Path, e.By = step+"/"+e.Path, step
			}
			entries = append(entries, e)
		}
		tree, err := files.NewTree(entries)
		if err != nil {
			t.Fatal(err)
		}
		layer, err := r.store.PutTree(t.Context(), tree)
		if err != nil {
			t.Fatal(err)
		}
		r.pod(step, nil)
		if _, _, err := r.store.Commit(t.Context(), r.key(step), files.Record{Layer: layer}); err != nil {
			t.Fatal(err)
		}
	}
	program := built(t)
	needs := map[string][]string{"both": {"one", "other"}, "alone": {"one", "other"}, "one": nil, "other": nil}
	r.podAhead("both", needs).bounded(t, program, nil)
	alone := r.podAhead("alone", needs)
	alone.alone = true
	resident(t, alone.main("true"), program)
	record, _ := r.commit("both")
	if tree, err := r.store.Tree(t.Context(), record.Layer); err != nil || tree.Size() != 3*many/2*packs[0].Size {
		t.Errorf("the union has %d entries of %d bytes, %v", tree.Len(), tree.Size(), err)
	}
}

// built returns the agent as it is released; the race detector would need several times the memory.
func built(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "brane-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return program
}

// bounded runs both containers with a built agent and measures its memory.
func (p *pod) bounded(t *testing.T, program string, fill func()) {
	t.Helper()
	resident(t, p.told("stage"), program)
	if fill != nil {
		fill()
	}
	resident(t, p.main("true"), filepath.Join(p.mount, "brane-agent"))
}

// resident runs a command of the agent and fails the test if it has used too much memory.
func resident(t *testing.T, cmd *exec.Cmd, program string) {
	t.Helper()
	cmd.Path = program
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	most := 0
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %s", err, &said)
			}
			t.Logf("%s held %.1f MiB", cmd.Args[1], float64(most)/(1<<20))
			if most > maxResident {
				t.Errorf("%s held %.1f MiB", cmd.Args[1], float64(most)/(1<<20))
			}
			return
		case <-tick.C:
			status, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/status")
			if err != nil {
				continue // it has ended in the meantime
			}
			_, rest, _ := strings.Cut(string(status), "VmHWM:")
			if fields := strings.Fields(rest); len(fields) > 0 {
				kilobytes, _ := strconv.Atoi(fields[0])
				most = max(most, kilobytes<<10)
			}
		}
	}
}

// TestLongTheAgentIsBuiltForArm checks that the agent for arm64 is as small as the other one.
func TestLongTheAgentIsBuiltForArm(t *testing.T) {
	at := filepath.Join(t.TempDir(), "brane-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", at, ".") // the test's own folder
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=arm64")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	program, err := elf.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	info, err := os.Stat(at)
	if err != nil || program.Machine != elf.EM_AARCH64 || info.Size() > maxSize {
		t.Errorf("it is for %v and has %d bytes, %v", program.Machine, info.Size(), err)
	}
}
