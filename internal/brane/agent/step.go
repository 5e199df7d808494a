package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Step is what the agent has to know about its step. It contains no secret, because it is part of the pod's specification.
type Step struct {
	Run      string              `json:"run"`
	Name     string              `json:"name"`
	Attempt  int                 `json:"attempt,omitempty"`
	Term     int                 `json:"term,omitempty"`     // of the run's lease, in which the Job was created; a cancellation in an earlier term is ignored
	Needs    map[string][]string `json:"needs,omitempty"`    // direct needs of the step and of all its ancestors
	Deadline int64               `json:"deadline"`           // of the run's keys, in seconds since 1970
	Ahead    bool                `json:"ahead,omitempty"`    // the pod is created before the needs are committed, and the main container waits for them
	InMain   bool                `json:"in_main,omitempty"`  // the main container stages in instead of the init container, because it may run as another user
	Indexed  bool                `json:"indexed,omitempty"`  // an index of a fan-out step, in an Indexed Job: the name gets ".<index>"
	Items    []string            `json:"items,omitempty"`    // of each index, may be empty
	Reads    files.Patterns      `json:"reads,omitempty"`    // what is staged in; empty means everything
	Writes   files.Patterns      `json:"writes,omitempty"`   // what the step may change; empty means everything
	Patience int                 `json:"patience,omitempty"` // for how many seconds a failing Redis command is retried; see connectRun for 0
	Stop     int                 `json:"stop,omitempty"`     // seconds from the request to stop until the command is killed; 0 means stopTimeout
	Version  string              `json:"version,omitempty"`  // of the provider, which the agent must have; empty means any
	Brane    branelet.Version    `json:"brane,omitempty"`    // the command is branelet of this version, and its output contains a result; empty means any other command
}

var runName = regexp.MustCompile(`^[a-z0-9-]+$`)

// Validate reports the first problem of a step.
func (s Step) Validate() error {
	switch {
	case !runName.MatchString(s.Run):
		return fmt.Errorf("the run id %q may only have a-z, 0-9 and -", s.Run)
	case !files.ValidStep(s.Name):
		return fmt.Errorf("%q is not a valid step name", s.Name)
	case s.Deadline <= 0:
		return errors.New("no deadline")
	}
	for step, needs := range s.Needs {
		for _, name := range append([]string{step}, needs...) {
			if !files.ValidStep(name) {
				return fmt.Errorf("%q is not a valid step name", name)
			}
		}
	}
	if s.Brane != "" && !slices.Contains(branelet.Versions(), s.Brane) {
		return fmt.Errorf("%q is not a supported version of Brane", s.Brane)
	}
	if err := s.Reads.Check(); err != nil {
		return fmt.Errorf("reads: %w", err)
	}
	if err := s.Writes.Check(); err != nil {
		return fmt.Errorf("writes: %w", err)
	}
	return nil
}

// ParseStep parses the value of BRANE_STEP.
func ParseStep(text []byte) (Step, error) {
	var s Step
	if err := json.Unmarshal(text, &s); err != nil {
		return Step{}, fmt.Errorf("read the step: %w", err)
	}
	if err := s.Validate(); err != nil {
		return Step{}, fmt.Errorf("read the step: %w", err)
	}
	return s, nil
}

// Encode returns the value of BRANE_STEP.
func (s Step) Encode() (string, error) {
	if err := s.Validate(); err != nil {
		return "", fmt.Errorf("step %q: %w", s.Name, err)
	}
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("step %q: %w", s.Name, err)
	}
	return string(text), nil
}

// forIndex returns the step of one index: with the index in its name, and with its item alone.
func (s Step) forIndex(index string) (Step, error) {
	if !s.Indexed {
		return s, nil
	}
	s.Needs = withAncestry(s.Needs, s.Name, s.Name+"."+index)
	s.Name += "." + index
	if index == "" || !files.ValidStep(s.Name) {
		return s, fmt.Errorf("the step has indexes, but %s is %q", EnvIndex, index)
	}
	if len(s.Items) > 0 {
		i, err := strconv.Atoi(index)
		if err != nil || i >= len(s.Items) {
			return s, fmt.Errorf("the step has %d indexes, but %s is %q", len(s.Items), EnvIndex, index)
		}
		s.Items = s.Items[i : i+1]
	}
	return s, nil
}

// indexEnvironment returns the variables that the command of one index gets in addition.
func (s Step) indexEnvironment() []string {
	_, index, found := strings.Cut(s.Name, ".")
	if !found {
		return nil
	}
	env := []string{EnvStepIndex + "=" + index}
	if len(s.Items) > 0 {
		env = append(env, EnvItem+"="+s.Items[0])
	}
	return env
}

// withAncestry copies the needs and adds those of one index, which are the needs of its step.
func withAncestry(needs map[string][]string, step, index string) map[string][]string {
	all := make(map[string][]string, len(needs)+1)
	for name, list := range needs {
		all[name] = list
	}
	all[index] = needs[step]
	return all
}

// isCancelled reports whether the run was cancelled for this step.
func (s Step) isCancelled(ctx context.Context, store *files.Store) (bool, error) {
	term, err := store.CancelledTerm(ctx)
	return term > 0 && term >= s.Term, err
}

// deadlineTime returns Deadline as a time.
func (s Step) deadlineTime() time.Time { return time.Unix(s.Deadline, 0) }
