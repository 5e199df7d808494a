package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// workflow is a run of the configuration, and what is known about it.
type workflow struct {
	name        string
	generation  int // another one runs all steps again
	inputs      map[string]string
	usesSet     bool // the file set is an input
	steps       []step
	isDetached  bool
	isPrewarmed bool
	detaches    bool // on_interrupt
	parallelism int
	hasStopped  bool // programs may have been stopped since this generation began, so that they start again
	isDamaged   bool // its files in Redis were damaged, so that completed steps run again
}

// step is a step of a workflow. Each program of it writes one file, out/<step> or out/<step>.<index>, with the digest of all files that it sees, and one of a
// given size.
type step struct {
	name        string
	needs       []int // indexes of earlier steps
	completions int   // 0: no fan-out step
	size        int   // of the second file
	failures    int   // how often each program fails before it succeeds
	retries     int
	isAllowed   bool // it always fails, which is allowed
	held        int  // milliseconds that each program runs
}

// newWorkflow returns a random workflow. The last step needs all others that may not fail.
func newWorkflow(random *rand.Rand, name string, generation int) *workflow {
	w := &workflow{name: name, generation: generation, inputs: map[string]string{}}
	for i := range random.IntN(3) {
		w.inputs[fmt.Sprintf("in/%d", i)] = strings.Repeat(fmt.Sprintf("%s %d\n", name, generation), 1+random.IntN(100))
	}
	w.usesSet = random.IntN(3) == 0
	w.isDetached = random.IntN(4) == 0
	w.isPrewarmed = random.IntN(4) == 0
	w.detaches = random.IntN(3) == 0
	if random.IntN(4) == 0 {
		w.parallelism = 1 + random.IntN(2)
	}
	var needed []int
	for i := range 1 + random.IntN(4) {
		s := step{name: fmt.Sprintf("s%d", i), held: random.IntN(1500)}
		for need := range i {
			if random.IntN(2) == 0 && !w.steps[need].isAllowed {
				s.needs = append(s.needs, need)
			}
		}
		if random.IntN(4) == 0 {
			s.completions = 2 + random.IntN(3)
		}
		switch random.IntN(6) {
		case 0:
			s.size = 1 << (10 + random.IntN(13)) // to 4 MiB
		case 1:
			s.failures, s.retries = 1, random.IntN(2)
		case 2:
			s.isAllowed = s.completions == 0
		}
		if !s.isAllowed {
			needed = append(needed, i)
		}
		w.steps = append(w.steps, s)
	}
	w.steps = append(w.steps, step{name: "end", needs: needed, size: 1000, held: random.IntN(1000)})
	return w
}

// program is the name of what a step starts; index is 0 without fan-out.
func (w *workflow) program(s step, index int) string {
	return fmt.Sprintf("%s.%d/%s/%d", w.name, w.generation, s.name, index)
}

// programs returns all programs of a step.
func (w *workflow) programs(s step) []string {
	all := make([]string, max(s.completions, 1))
	for i := range all {
		all[i] = w.program(s, i)
	}
	return all
}

// failuresToCome returns how many applies can fail because of programs that fail more often than they are retried.
func (w *workflow) failuresToCome() (n int) {
	for _, s := range w.steps {
		if s.failures > s.retries {
			n += max(s.completions, 1)
		}
	}
	return n
}

// bigOutput returns the path of the largest file.
func (w *workflow) bigOutput() string {
	largest := w.steps[len(w.steps)-1]
	for _, s := range w.steps {
		if s.size > largest.size && !s.isAllowed {
			largest = s
		}
	}
	if largest.completions > 0 {
		return "big/" + largest.name + ".0"
	}
	return "big/" + largest.name
}

// setContent returns the files of the file set.
func setContent(generation int) map[string]string {
	return map[string]string{"a.txt": fmt.Sprintf("set %d\n", generation), "more/b.txt": strings.Repeat("b", 1000+generation)}
}

// filesOf returns the files that each step writes, by their paths below /data.
func (w *workflow) filesOf(setGeneration int) []map[string]string {
	inputs := maps.Clone(w.inputs)
	if w.usesSet {
		for path, content := range setContent(setGeneration) {
			inputs["set/"+path] = content
		}
	}
	written := make([]map[string]string, len(w.steps))
	seen := make([]map[string]string, len(w.steps)) // with those of the steps before
	for i, s := range w.steps {
		visible := maps.Clone(inputs)
		for _, need := range s.needs {
			maps.Copy(visible, seen[need])
		}
		digest := digestOf(visible) + "\n"
		written[i] = map[string]string{}
		for index := range max(s.completions, 1) {
			suffix := ""
			if s.completions > 0 {
				suffix = fmt.Sprintf(".%d", index)
			}
			written[i]["out/"+s.name+suffix] = digest
			written[i]["big/"+s.name+suffix] = strings.Repeat("x", s.size)
		}
		if s.isAllowed {
			clear(written[i])
		}
		seen[i] = visible
		maps.Copy(seen[i], written[i])
	}
	return written
}

// digestOf returns the digest of the contents of files in the order of their paths.
func digestOf(files map[string]string) string {
	sum := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		sum.Write([]byte(files[path]))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// digestOfText returns the digest of a text.
func digestOfText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
