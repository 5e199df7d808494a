package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

// The states of a step, as in ARCHITECTURE.md. An event changes nothing in a phase that the table does not list.
const stateTable = `
pending                                 jobCreated        running
pending                                 jobPrewarmed      prewarmed
prewarmed                               needsCommitted    running
prewarmed                               prewarmEnded      pending
running                                 cannotCommit      unconfirmed
pending                                 jobRefused        unconfirmed
pending running unconfirmed             indexesConflict   unconfirmed
pending                                 failureRestored   failed
unconfirmed                             failureConfirmed  failed
unconfirmed                             retryDecided      pending
pending prewarmed running unconfirmed   commitRead        committed
`

var (
	phaseNames = map[string]phase{
		"pending": pending, "prewarmed": prewarmed, "running": running, "unconfirmed": unconfirmed, "failed": failed, "committed": committed,
	}
	eventNames = map[string]event{
		"jobCreated": jobCreated, "jobPrewarmed": jobPrewarmed, "needsCommitted": needsCommitted, "prewarmEnded": prewarmEnded, "cannotCommit": cannotCommit, "jobRefused": jobRefused,
		"indexesConflict": indexesConflict, "failureRestored": failureRestored, "failureConfirmed": failureConfirmed, "commitRead": commitRead, "retryDecided": retryDecided,
	}
)

func TestStateTable(t *testing.T) {
	want := map[event]map[phase]phase{}
	for line := range strings.Lines(strings.TrimSpace(stateTable)) {
		fields := strings.Fields(line)
		from, event, to := fields[:len(fields)-2], eventNames[fields[len(fields)-2]], phaseNames[fields[len(fields)-1]]
		want[event] = map[phase]phase{}
		for _, name := range from {
			want[event][phaseNames[name]] = to
		}
	}
	for eventName, event := range eventNames {
		for phaseName, from := range phaseNames {
			s := newState(workflowtest.Graph(t, "a"))
			s.steps["a"].phase = from
			to, isTransition := want[event][from]
			if !isTransition {
				to = from
			}
			if got := s.applyEvent("a", event); got != isTransition || s.phaseOf("a") != to {
				t.Errorf("%s in phase %s: the phase is %d, want %d; it is a transition: %t", eventName, phaseName, s.phaseOf("a"), to, got)
			}
		}
	}
}

// What the methods of state add to the transitions: which attempt a fact is about, whether the needs have committed, and the reason of a
// failure.
func TestStateGuards(t *testing.T) {
	oom, evicted := failureReason{"OOMKilled", ""}, failureReason{"Evicted", ""}
	for name, tt := range map[string]struct {
		facts func(s *state)
		want  string // phase, latest attempt and reason of step b, which needs a
	}{
		"a Job whose needs have ended":     {func(s *state) { s.recordCommit("a"); s.recordJob("b", 1) }, "running 1"},
		"a Job whose needs have not ended": {func(s *state) { s.recordJob("b", 1) }, "prewarmed 1"},
		"the last need commits":            {func(s *state) { s.recordJob("b", 1); s.recordCommit("a") }, "running 1"},
		"an early Job that has ended":      {func(s *state) { s.recordJob("b", 1); s.markUnconfirmed("b", 1, oom) }, "pending 1"},
		"a Job that exists twice, of which one failed": {func(s *state) {
			s.recordCommit("a")
			s.adoptJobs([]attempt{{step: "b", number: 1, isOver: true}, {step: "b", number: 2, isOver: false}})
		}, "running 2"},
		"a Job whose latest attempt has failed": {func(s *state) {
			s.recordCommit("a")
			s.adoptJobs([]attempt{{step: "b", number: 1, isOver: false}, {step: "b", number: 2, isOver: true}})
		}, "pending 2"},
		"an attempt that is lost":         {func(s *state) { s.recordCommit("a"); s.recordJob("b", 1); s.abandonAttempt("b", 1) }, "pending 1"},
		"an earlier attempt that is lost": {func(s *state) { s.recordCommit("a"); s.recordJob("b", 2); s.abandonAttempt("b", 1) }, "running 2"},
		"an attempt that is lost and commits": {func(s *state) {
			s.recordCommit("a")
			s.recordJob("b", 1)
			s.abandonAttempt("b", 1)
			s.recordJob("b", 2)
			s.recordCommit("b")
		}, "committed 2"},
		"an earlier attempt fails": {func(s *state) { s.recordCommit("a"); s.recordJob("b", 2); s.markUnconfirmed("b", 1, oom) }, "running 2"},
		"the latest attempt fails": {func(s *state) { s.recordCommit("a"); s.recordJob("b", 2); s.markUnconfirmed("b", 2, oom) }, "unconfirmed 2 OOMKilled"},
		"the first reason stays": {func(s *state) {
			s.recordCommit("a")
			s.recordJob("b", 1)
			s.markUnconfirmed("b", 1, oom)
			s.markUnconfirmed("b", 1, evicted)
		}, "unconfirmed 1 OOMKilled"},
		"a conflict is the reason in any case": {func(s *state) {
			s.recordCommit("a")
			s.recordJob("b", 1)
			s.markUnconfirmed("b", 1, oom)
			s.markConflict("b", evicted)
		}, "unconfirmed 1 Evicted"},
		"a commit after all": {func(s *state) {
			s.recordCommit("a")
			s.recordJob("b", 1)
			s.markUnconfirmed("b", 1, oom)
			s.recordCommit("b")
			s.confirmFailures()
		}, "committed 1"},
		"a commit that is too late": {func(s *state) {
			s.recordCommit("a")
			s.recordJob("b", 1)
			s.markUnconfirmed("b", 1, oom)
			s.confirmFailures()
			s.recordCommit("b")
		}, "failed 1"},
		"a step of another run": {func(s *state) {
			s.recordCommit("x")
			s.recordJob("x", 1)
			s.markConflict("x", oom)
			s.adoptJobs([]attempt{{step: "x", number: 1, isOver: false}})
		}, "pending 0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newState(workflowtest.Graph(t, "a", "b: a"))
			tt.facts(s)
			got := ""
			for name, phase := range phaseNames {
				if phase == s.phaseOf("b") {
					got = fmt.Sprint(name, " ", s.latestAttempt("b"))
				}
			}
			if s.phaseOf("b") == unconfirmed {
				got += " " + s.steps["b"].reason.reason
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Only state.go changes a phase.
func TestOnlyStateChangesAPhase(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	assignment := regexp.MustCompile(`\.phase\s*=[^=]`)
	found := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if assignments := assignment.FindAll(text, -1); len(assignments) > 0 && !strings.HasSuffix(name, "_test.go") {
			found += len(assignments)
			if name != "state.go" {
				t.Errorf("%s changes a phase", name)
			}
		}
	}
	if found != 1 {
		t.Errorf("a phase is changed in %d places", found)
	}
}
