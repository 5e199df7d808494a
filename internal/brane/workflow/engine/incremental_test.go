package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	pathpkg "path"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// incrementalCases is the number of random graphs. `make test` runs the test without the race detector, too, because one goroutine executes a run, and
// `make test-long` runs 100,000 cases.
const incrementalCases = 2_000

// TestIncremental edits random graphs and executes them again, with commands that are functions of their configuration and of what they see.
// Executions are killed, agents of killed executions commit later, and chunks and manifests are lost. Then:
//   - the files of every step are those of a run from scratch, byte for byte;
//   - no command runs whose fingerprint has a usable commit.
func TestIncremental(t *testing.T) {
	cases := uint64(incrementalCases)
	if isRace {
		cases /= 20
	}
	testIncremental(t, 0, cases)
}

func testIncremental(t *testing.T, from, cases uint64) {
	t.Helper()
	server := redistest.Start(t)
	seeds := make(chan uint64)
	go func() {
		defer close(seeds)
		for seed := from; seed < from+cases && !t.Failed(); seed++ {
			seeds <- seed
		}
	}()
	t.Run("workers", func(t *testing.T) {
		for worker := range 2 * runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				client, cluster := server.Client(), newFakeClient(t, answerEmpty)
				for seed := range seeds {
					c := newIncrementalCase(t, client, cluster, seed)
					if problem := c.play(); problem != "" {
						t.Errorf("seed %d: %s\n%s", seed, problem, strings.Join(c.history, "\n"))
						return
					}
				}
			})
		}
	})
}

// incrementalCase is one run, which is edited.
type incrementalCase struct {
	t       *testing.T
	client  *redis.Client
	cluster *kube.Client // an empty one
	random  *rand.Rand
	run     string
	isChain bool // only then steps change and remove files of other steps, because these are conflicts otherwise
	steps   []workflow.Step
	inputs  map[string]string
	late    []simAgent // agents of killed executions
	lossy   bool       // chunks are lost: then commands of committed steps may run
	history []string
}

// simAgent is the agent of one pod.
type simAgent struct {
	step  agent.Step
	graph workflow.Graph
}

func newIncrementalCase(t *testing.T, client *redis.Client, cluster *kube.Client, seed uint64) *incrementalCase {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 20))
	c := &incrementalCase{
		t: t, client: client, cluster: cluster, random: random, run: fmt.Sprintf("case-%d", seed), isChain: random.IntN(3) == 0, lossy: random.IntN(4) == 0,
		inputs: map[string]string{"in/a": "0", "in/b": "0", "c": "0"},
	}
	for i := range 2 + random.IntN(5) {
		c.steps = append(c.steps, c.newStep(i))
	}
	return c
}

// newStep returns a random step that needs some of the steps before it.
func (c *incrementalCase) newStep(i int) workflow.Step {
	step := workflow.Step{Name: fmt.Sprintf("s%d", i), Image: "image", Command: []string{"0"}}
	for _, other := range c.steps {
		if isLast := other.Name == c.steps[len(c.steps)-1].Name; c.isChain && isLast || !c.isChain && c.random.IntN(3) == 0 {
			step.Needs = append(step.Needs, other.Name)
		}
	}
	c.changeReads(&step)
	switch c.random.IntN(6) {
	case 0:
		step.Items = []string{"x", "y"}[:c.random.IntN(3)]
		step.Completions, step.IsEmpty = len(step.Items), len(step.Items) == 0
	case 1:
		step.AllowFailure = true
		step.Env = map[string]string{"MAY_FAIL": "true"} // see runAgent: whether a command fails is a function of its configuration
	case 2:
		if len(step.Needs) > 0 {
			step.When = workflow.Always
		}
	}
	return step
}

func (c *incrementalCase) changeReads(step *workflow.Step) {
	step.Reads = nil
	if c.random.IntN(2) == 0 {
		all := []string{"in/a", "in", "c", "out/*", "out/s0", "out/s1", "new/**"}
		c.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		step.Reads = all[:1+c.random.IntN(3)]
	}
}

// edit changes the run in one way, as a user would.
func (c *incrementalCase) edit() {
	step := &c.steps[c.random.IntN(len(c.steps))]
	switch c.random.IntN(8) {
	case 0:
		step.Command = []string{fmt.Sprint(c.random.IntN(3))}
	case 1:
		c.changeReads(step)
	case 2:
		step.Retries++ // decides nothing
	case 3, 4:
		path := []string{"in/a", "in/b", "c", "new/d"}[c.random.IntN(4)]
		c.inputs[path] = fmt.Sprint(c.random.IntN(3))
	case 5:
		if step.Items != nil {
			step.Items = []string{"x", "y", "z"}[c.random.IntN(3):]
			step.Completions, step.IsEmpty = len(step.Items), false
		}
	case 6:
		c.steps = append(c.steps, c.newStep(len(c.steps)))
	case 7:
		if last := c.steps[len(c.steps)-1]; len(c.steps) > 2 && !slices.ContainsFunc(c.steps, func(s workflow.Step) bool { return slices.Contains(s.Needs, last.Name) }) {
			c.steps = c.steps[:len(c.steps)-1]
		}
	}
}

// play executes the run, edits it and executes it again. It returns what is wrong; empty if nothing is.
func (c *incrementalCase) play() string {
	edits := 1 + c.random.IntN(4)
	for edit := range edits + 1 {
		stopAfter := -1
		if edit < edits && c.random.IntN(3) == 0 {
			stopAfter = c.random.IntN(4)
		}
		l, problem := c.execute(c.run, stopAfter)
		if problem != "" {
			return problem
		}
		if edit < edits {
			if c.lossy {
				c.lose()
			}
			c.edit()
			continue
		}
		scratch, problem := c.execute(c.run+"-scratch", -1)
		if problem == "" {
			problem = c.compare(l, scratch)
		}
		if problem != "" {
			return problem
		}
	}
	for _, run := range []string{c.run, c.run + "-scratch"} {
		if err := c.openStore(run, nil).Files().Delete(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
	}
	return ""
}

// lose deletes a random chunk of the run: of a file, of a manifest, or the list of one.
func (c *incrementalCase) lose() {
	keys, err := c.client.Keys(c.t.Context(), "brane:"+c.run+":c:*").Result()
	if err != nil {
		c.t.Fatal(err)
	}
	slices.Sort(keys)
	for range c.random.IntN(3) {
		if key := keys[c.random.IntN(len(keys))]; c.client.Del(c.t.Context(), key).Err() == nil {
			c.history = append(c.history, "lost "+key)
		}
	}
}

func (c *incrementalCase) openStore(run string, graph *workflow.Graph) *results.Store {
	if graph == nil {
		graph = &workflow.Graph{}
	}
	store, err := results.Open(c.client, run, *graph)
	if err == nil {
		store, err = store.ForExecution(time.Now().Add(time.Hour), false, nil)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return store
}

// execute runs the current configuration, as an engine does, but with simulated pods. A number of commands that is not negative kills it after that.
func (c *incrementalCase) execute(run string, stopAfter int) (*loop, string) {
	graph, err := workflow.NewGraph(c.steps)
	if err != nil {
		c.t.Fatal(err)
	}
	store := c.openStore(run, &graph)
	spec := &workflow.Spec{ID: run, Graph: graph, Namespace: "brane", Inputs: map[string]files.Source{}}
	for path, content := range c.inputs {
		spec.Inputs[path] = files.Source{Content: []byte(content)}
	}
	lease, err := record.Acquire(c.t.Context(), c.cluster, spec.Ref(), record.Holder{Retention: time.Hour}, nil)
	if err == nil {
		err = storeInputs(c.t.Context(), store.Files(), spec)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.history = append(c.history, fmt.Sprintf("execute %s, inputs %v, killed after %d:", run, c.inputs, stopAfter))
	for _, step := range c.steps {
		c.history = append(c.history, fmt.Sprintf("  %s %q needs %q reads %q items %q %s %t", step.Name, step.Command, step.Needs, step.Reads, step.Items, step.When, step.AllowFailure))
	}
	l := newLoop(&Execution{spec: spec, results: store, lease: lease, clients: Clients{Kube: c.cluster}})
	if err := l.recoverProgress(c.t.Context()); err != nil {
		return nil, err.Error()
	}
	for ran := 0; ; {
		if problem := c.settle(l); problem != "" || l.state.decide().hasEnded {
			return l, problem
		}
		for _, name := range l.state.decide().listReady(0) {
			for _, pod := range c.createPods(l, name) {
				if ran == stopAfter && run == c.run {
					c.late = append(c.late, pod)
					continue
				}
				if problem := c.runAgent(l, store.Files(), pod, true); problem != "" {
					return l, problem
				}
				ran++
			}
			if ran == stopAfter && run == c.run {
				return l, ""
			}
		}
	}
}

// settle does what the loop does before it starts steps. An agent of a killed execution may commit meanwhile.
func (c *incrementalCase) settle(l *loop) string {
	if len(c.late) > 0 && l.spec.ID == c.run && c.random.IntN(3) == 0 {
		pod := c.late[0]
		c.late = c.late[1:]
		c.history = append(c.history, "a late agent of "+pod.step.Name)
		if problem := c.runAgent(l, l.results.Files(), pod, false); problem != "" && !c.lossy {
			return problem
		}
	}
	for {
		if err := l.settleSteps(c.t.Context()); err != nil {
			return err.Error()
		}
		empty := l.state.decide().empty
		if len(empty) == 0 {
			return ""
		}
		if err := l.completeEmptySteps(c.t.Context(), empty); err != nil {
			return err.Error()
		}
	}
}

// createPods returns the agents of the pods of the Job that the loop would create.
func (c *incrementalCase) createPods(l *loop, name string) (pods []simAgent) {
	number := l.state.nextAttempt(name, 1)
	job, err := l.buildJob(name, number)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := l.storeItems(c.t.Context(), name); err != nil {
		c.t.Fatal(err)
	}
	l.firstAttempts[name] = number
	l.state.recordJob(name, number)
	l.rememberIndexes(parseAttempt(job))
	of := parseAttempt(job)
	for completion := range max(of.completions, 1) {
		step, err := of.agent.ForIndex(fmt.Sprint(completion))
		if err == nil {
			err = step.ReadItem(c.t.Context(), l.results.Files())
		}
		if err != nil {
			c.t.Fatal(err)
		}
		pods = append(pods, simAgent{step, l.spec.Graph})
	}
	return pods
}

// runAgent does what an agent does, with a command that is a function of the configuration and of what it sees.
func (c *incrementalCase) runAgent(l *loop, store *files.Store, pod simAgent, isCurrent bool) string {
	ctx, step := c.t.Context(), pod.step
	key := files.ResultKey{Step: step.Name, Fingerprint: files.NewFingerprint(step.Configuration, step.Seen)}
	name, _, _ := strings.Cut(step.Name, ".")
	if found, err := store.Commits(ctx, map[string]files.Fingerprint{step.Name: key.Fingerprint}); err != nil || len(found) > 0 {
		if isCurrent && err == nil {
			return fmt.Sprintf("step %s runs although it is committed", step.Name)
		}
		return "" // it is committed already, and the agent runs nothing
	}
	base, err := store.Tree(ctx, step.Layer)
	if err != nil {
		return fmt.Sprintf("the files of step %s: %v", step.Name, err)
	}
	hash := hashView(step, base)
	c.history = append(c.history, fmt.Sprintf("  runs %s: %d", step.Name, hash%3))
	if pod.graph.Step(name).AllowFailure && hash%3 == 0 {
		if isCurrent {
			l.state.markUnconfirmed(name, l.state.latestAttempt(name), failureReason{batchv1.JobReasonBackoffLimitExceeded, "simulated"})
		}
		return ""
	}
	layer, content, err := c.writeTree(store, step, base, hash)
	if err != nil {
		return err.Error()
	}
	_, _, err = store.Commit(ctx, key, files.Record{Attempt: step.Attempt, Layer: layer, Content: content, Base: step.Layer})
	if err != nil {
		return err.Error()
	}
	l.hints.expect(step.Name)
	return ""
}

// hashView returns a number that depends on the configuration of a step and on what it sees.
func hashView(step agent.Step, base files.Tree) uint64 {
	seen := sha256.New()
	fmt.Fprintln(seen, step.Configuration)
	for entry := range base.All() {
		if entry.IsFile() && step.Reads.Match(entry.Path) {
			fmt.Fprintln(seen, entry.Path, entry.Mode, entry.SHA256)
		}
	}
	return binary.BigEndian.Uint64(seen.Sum(nil))
}

// writeTree stores the files that a step leaves: it writes one of its own, and in a chain may change or remove another that it sees.
func (c *incrementalCase) writeTree(store *files.Store, step agent.Step, base files.Tree, hash uint64) (files.Layer, string, error) {
	entries, isVisible := map[string]files.Entry{}, map[string]bool{}
	for entry := range base.All() {
		entries[entry.Path] = entry
		for path := entry.Path; step.Reads.Match(entry.Path) && path != "."; path = pathpkg.Dir(path) {
			isVisible[path] = true // also the directories above
		}
	}
	write := func(path string) error {
		layer, err := store.PutInputs(c.t.Context(), map[string]files.Source{path: {Content: fmt.Appendf(nil, "%d", hash%3)}})
		if err != nil {
			return err
		}
		tree, err := store.Tree(c.t.Context(), layer)
		for entry := range tree.All() {
			old, exists := entries[entry.Path]
			if exists && isVisible[entry.Path] && old.Mode == entry.Mode && (entry.Mode.IsDir() || old.SHA256 == entry.SHA256) {
				continue // unchanged
			}
			entry.By = step.Name
			entries[entry.Path], isVisible[entry.Path] = entry, true
		}
		return err
	}
	if err := write("out/" + step.Name); err != nil {
		return "", "", err
	}
	visible := slices.DeleteFunc(slices.Sorted(maps.Keys(entries)), func(path string) bool {
		entry := entries[path]
		return !entry.IsFile() || !isVisible[path] || entry.By == step.Name
	})
	if c.isChain && len(visible) > 0 && !step.Indexed {
		path := visible[hash/3%uint64(len(visible))]
		switch hash / 100 % 3 {
		case 0:
			delete(entries, path)
		case 1:
			if err := write(path); err != nil {
				return "", "", err
			}
		}
	}
	tree, err := files.NewTree(slices.Collect(maps.Values(entries)))
	if err != nil {
		return "", "", err
	}
	layer, err := store.PutTree(c.t.Context(), tree)
	if err != nil {
		return "", "", err
	}
	content, err := store.DigestView(c.t.Context(), layer, nil)
	return layer, content, err
}

// compare returns the first difference between the results of two executions.
func (c *incrementalCase) compare(one, other *loop) string {
	for _, name := range one.spec.Graph.Steps() {
		if a, b := one.state.phaseOf(name), other.state.phaseOf(name); a != b {
			return fmt.Sprintf("step %s is in phase %d, from scratch in %d", name, a, b)
		}
		if one.state.phaseOf(name) != committed {
			continue
		}
		if a, b := one.starts[name].fingerprint, other.starts[name].fingerprint; a != b {
			return fmt.Sprintf("step %s has the fingerprint %s, from scratch %s", name, a, b)
		}
		if a, b := c.listTree(one, name), c.listTree(other, name); a != b {
			return fmt.Sprintf("step %s has\n%s\nfrom scratch\n%s", name, a, b)
		}
	}
	return ""
}

// listTree returns a line for each file of a step, with what was read of its content.
func (c *incrementalCase) listTree(l *loop, step string) string {
	var text strings.Builder
	tree, err := l.results.Files().Tree(c.t.Context(), l.commits[step].Layer)
	if err != nil {
		return err.Error()
	}
	for entry := range tree.All() {
		content := &strings.Builder{}
		if entry.IsFile() {
			if err := l.results.Files().Read(c.t.Context(), entry, content); err != nil {
				return err.Error()
			}
		}
		fmt.Fprintf(&text, "%s %s by %q: %s\n", entry.Path, entry.Mode, entry.By, content)
	}
	return text.String()
}
