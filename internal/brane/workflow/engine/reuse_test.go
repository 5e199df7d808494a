package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

// A Job of an earlier execution continues only if it computes what this execution needs.
func TestMatches(t *testing.T) {
	t.Parallel()
	l, _, _ := openLoop(t, workflow.Step{Name: "one"}, workflow.Step{Name: "next", Needs: []string{"one"}}, workflow.Step{Name: "fan", Completions: 3, Items: []string{"a", "b", "c"}})
	commitFile(t, l.results.Files(), l.starts["fan"], "fan.0", "zero", "0")
	if err := l.settleSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := files.ShortDigest([]byte("other"))
	job := func(step string, change func(*attempt)) attempt {
		of := attempt{step: step, number: 1, agent: l.spec.Graph.AgentSpec(l.spec.Graph.Step(step)), completions: l.spec.Graph.Step(step).Completions}
		of.agent.Seen = l.starts[step].seen
		change(&of)
		return of
	}
	early := func(fingerprints map[string]files.Fingerprint) func(*attempt) {
		return func(a *attempt) { a.agent.Ahead, a.agent.Seen, a.agent.Fingerprints = true, "", fingerprints }
	}
	some := func(items []string, indexes ...int) func(*attempt) {
		return func(a *attempt) {
			a.indexes, a.agent.Items, a.completions = indexes, files.DigestItems(items), len(indexes)
		}
	}
	for name, tt := range map[string]struct {
		job  attempt
		want bool
	}{
		"the same":                    {job("one", func(*attempt) {}), true},
		"another command":             {job("one", func(a *attempt) { a.agent.Configuration = other }), false},
		"other files":                 {job("one", func(a *attempt) { a.agent.Seen = other }), false},
		"a fan-out step before":       {job("one", func(a *attempt) { a.agent.Indexed = true }), false},
		"one that cannot be read":     {attempt{step: "one", number: 1}, false},
		"a removed step":              {job("gone", func(*attempt) {}), false},
		"one whose needs run":         {job("next", func(*attempt) {}), false},
		"an early one":                {job("next", early(map[string]files.Fingerprint{"one": l.starts["one"].fingerprint})), true},
		"an early one of other needs": {job("next", early(map[string]files.Fingerprint{"one": files.NewFingerprint(other, other)})), false},
		"an early one without needs":  {job("next", early(nil)), false},
		"all indexes":                 {job("fan", func(*attempt) {}), true},
		"the missing indexes":         {job("fan", some([]string{"a", "b", "c"}, 1, 2)), true},
		"fewer indexes":               {job("fan", some([]string{"a", "b", "c"}, 1)), false},
		"another item":                {job("fan", some([]string{"a", "b", "x"}, 1, 2)), false},
		"items that were removed":     {job("fan", some(nil, 1, 2)), false},
		"an index that was removed":   {job("fan", some([]string{"a", "b", "c", "d"}, 1, 2, 3)), false},
		"an index beyond the step":    {job("fan", some([]string{"a", "b", "c"}, 1, 2, 3)), false},
	} {
		if got := l.matches(tt.job); got != tt.want {
			t.Errorf("%s: it matches: %t", name, got)
		}
	}
}

// The items of a step are stored before each of its attempts, because Redis may have lost them.
func TestStoreItems(t *testing.T) {
	t.Parallel()
	l, client, _ := openLoop(t, workflow.Step{Name: "one"}, workflow.Step{Name: "fan", Completions: 2, Items: []string{"a", "b"}})
	for range 2 {
		if err := errors.Join(l.storeItems(t.Context(), "one"), l.storeItems(t.Context(), "fan")); err != nil {
			t.Fatal(err)
		}
		key := "brane:run:items:" + files.DigestItems([]string{"a", "b"})
		if items := client.HGetAll(t.Context(), key).Val(); fmt.Sprint(items) != "map[0:a 1:b]" {
			t.Errorf("redis has the items %v", items)
		}
		client.Del(t.Context(), key)
	}
}

// What a step sees are the files that it reads, and the results that its call takes.
func TestFindStart(t *testing.T) {
	t.Parallel()
	call := workflowtest.CallStep("call", branelet.V06, map[string]workflow.Argument{"x": {Step: "giver"}}, "giver", "one")
	giver := workflowtest.CallStep("giver", branelet.V06, nil)
	l, _, _ := openLoop(t, workflow.Step{Name: "one"}, giver, call, workflow.Step{Name: "all", Needs: []string{"one"}}, workflow.Step{Name: "some", Needs: []string{"one"}, Reads: []string{"a"}})
	find := func(step, a, b, result string) stepStart {
		t.Helper()
		store := l.results.Files()
		layer, err := store.PutInputs(t.Context(), map[string]files.Source{"a": {Content: []byte(a)}, "b": {Content: []byte(b)}})
		if err != nil {
			t.Fatal(err)
		}
		start, err := l.reuser.findStart(t.Context(), step, map[string]files.Record{"one": {Layer: layer}, "giver": {Layer: layer, Result: json.RawMessage(result)}}, hasNone)
		if err != nil {
			t.Fatal(err)
		}
		return start
	}
	for name, tt := range map[string]struct {
		one, other stepStart
		same       bool
	}{
		"the same files":            {find("all", "1", "1", ""), find("all", "1", "1", ""), true},
		"another file":              {find("all", "1", "1", ""), find("all", "1", "2", ""), false},
		"a file that is not read":   {find("some", "1", "1", ""), find("some", "1", "2", ""), true},
		"a file that is read":       {find("some", "1", "1", ""), find("some", "2", "1", ""), false},
		"the same result":           {find("call", "1", "1", "7"), find("call", "1", "1", "7"), true},
		"another result":            {find("call", "1", "1", "7"), find("call", "1", "1", "8"), false},
		"a result and another file": {find("call", "1", "1", "7"), find("call", "1", "2", "7"), false},
		"an untaken result":         {find("all", "1", "1", "7"), find("all", "1", "1", "8"), true},
	} {
		if same := tt.one.seen == tt.other.seen; same != tt.same || (tt.one.fingerprint == tt.other.fingerprint) != same {
			t.Errorf("%s: the step sees the same: %t", name, same)
		}
	}
	if taken, err := agent.DigestSeen(find("all", "1", "1", "").seen, map[string]json.RawMessage{"x": json.RawMessage("7")}); err != nil || taken != find("call", "1", "1", "7").seen {
		t.Errorf("a step that takes a result sees %s, %v", taken, err)
	}
}

// A stored result whose files are gone is not used: its step runs again, and its commit can be replaced.
func TestGoneFilesRunAgain(t *testing.T) {
	t.Parallel()
	l, client, events := openLoop(t, workflow.Step{Name: "one"}, workflow.Step{Name: "fan", Completions: 2})
	for _, name := range []string{"one", "fan.0", "fan.1"} {
		step := "fan"
		if name == "one" {
			step = name
		}
		commitFile(t, l.results.Files(), l.starts[step], name, name, name)
	}
	stored, err := l.results.Files().Commits(t.Context(), l.starts["fan"].indexes)
	if err != nil {
		t.Fatal(err)
	}
	client.Del(t.Context(), "brane:run:c:"+string(stored["fan.1"].Layer))
	*events = nil
	next := newLoop(l.Execution)
	if err := next.settleSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(next.state.phaseOf("one"), next.state.phaseOf("fan"), next.listMissingIndexes("fan"), *events); got != fmt.Sprint(committed, pending, []int{1}, []string{"step reused one"}) {
		t.Errorf("the steps are in the phases, and the events are: %s", got)
	}
	if attempt := next.newAttempt("fan", 2); fmt.Sprint(attempt.Indexes) != "[1]" {
		t.Errorf("the next attempt runs the indexes %v", attempt.Indexes)
	}
	agents, err := files.Open(files.Config{Redis: client, Run: "run", Deadline: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	again := files.Record{Attempt: 2, Layer: l.starts["fan"].Layer, Base: l.starts["fan"].Layer, Started: time.Now().UTC(), Ended: time.Now().UTC()}
	if _, won, err := agents.Commit(t.Context(), next.starts["fan"].keyOf("fan.1"), again); err != nil || !won {
		t.Errorf("the index is committed again: %t, %v", won, err)
	}
}

// A Job of an earlier execution is stopped if its step has a result of another fingerprint, and continues if it has just stored that result.
func TestJobOfACommittedStep(t *testing.T) {
	t.Parallel()
	l, _, _ := openLoop(t, workflow.Step{Name: "one"}, workflow.Step{Name: "slow"})
	commitFile(t, l.results.Files(), l.starts["one"], "one", "file", "content")
	l.hints.expectAll()
	if err := l.settleSteps(t.Context()); err != nil {
		t.Fatal(err)
	}
	job := attempt{step: "one", number: 1, agent: l.spec.Graph.AgentSpec(l.spec.Graph.Step("one"))}
	job.agent.Seen = l.starts["one"].seen
	if l.state.phaseOf("one") != committed || l.isStale(job, time.Now()) {
		t.Errorf("the step is in phase %d, and its own Job is stale: %t", l.state.phaseOf("one"), l.isStale(job, time.Now()))
	}
	job.agent.Configuration = files.ShortDigest([]byte("other"))
	if !l.isStale(job, time.Now()) {
		t.Error("the Job with another command continues")
	}
}
