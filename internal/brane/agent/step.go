package agent

import (
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

// Step is what the agent has to know. There is no secret in it: it stands in the pod's specification.
type Step struct {
	Run      string              `json:"run"`
	Name     string              `json:"name"`
	Attempt  int                 `json:"attempt,omitempty"`
	Needs    map[string][]string `json:"needs,omitempty"`    // direct needs of the step and of all its ancestors
	Deadline int64               `json:"deadline"`           // of the run's keys, in seconds since 1970
	Ahead    bool                `json:"ahead,omitempty"`    // its pod is there before its needs are committed: the main container waits for them
	Indexed  bool                `json:"indexed,omitempty"`  // the name gets ".<index>": one of many in an Indexed Job
	Items    []string            `json:"items,omitempty"`    // what each of the many is about, by index; none: only the index tells them apart
	Reads    files.Patterns      `json:"reads,omitempty"`    // what is staged in; none: everything
	Writes   files.Patterns      `json:"writes,omitempty"`   // what the step may change; none: everything
	Patience int                 `json:"patience,omitempty"` // for how many seconds a failing Redis is tried again; 0 means 120
	Brane    branelet.Version    `json:"brane,omitempty"`    // the program is branelet of this version, and what it prints holds a result; empty: it is any program
}

var runName = regexp.MustCompile(`^[a-z0-9-]+$`)

// Validate says what is wrong with a step.
func (s Step) Validate() error {
	switch {
	case !runName.MatchString(s.Run):
		return fmt.Errorf("the run id %q may only have a-z, 0-9 and -", s.Run)
	case !files.ValidStep(s.Name):
		return fmt.Errorf("%q is no name of a step", s.Name)
	case s.Deadline <= 0:
		return errors.New("no deadline")
	}
	for step, needs := range s.Needs {
		for _, name := range append([]string{step}, needs...) {
			if !files.ValidStep(name) {
				return fmt.Errorf("%q is no name of a step", name)
			}
		}
	}
	if s.Brane != "" && !slices.Contains(branelet.Versions(), s.Brane) {
		return fmt.Errorf("%q is no version of Brane", s.Brane)
	}
	if err := s.Reads.Check(); err != nil {
		return fmt.Errorf("reads: %w", err)
	}
	if err := s.Writes.Check(); err != nil {
		return fmt.Errorf("writes: %w", err)
	}
	return nil
}

// ParseStep reads the value of BRANE_STEP.
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

// Encode is the value of BRANE_STEP.
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

// indexed is the step's name with its index, and the one item that is its own.
func (s Step) indexed(index string) (Step, error) {
	if !s.Indexed {
		return s, nil
	}
	s.Needs = withAncestry(s.Needs, s.Name, s.Name+"."+index)
	s.Name += "." + index
	if index == "" || !files.ValidStep(s.Name) {
		return s, fmt.Errorf("the step is one of many, but %s is %q", EnvIndex, index)
	}
	if len(s.Items) > 0 {
		i, err := strconv.Atoi(index)
		if err != nil || i >= len(s.Items) {
			return s, fmt.Errorf("the step is one of %d, but %s is %q", len(s.Items), EnvIndex, index)
		}
		s.Items = s.Items[i : i+1]
	}
	return s, nil
}

// environment is what the program of one of many learns about itself.
func (s Step) environment() []string {
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

// withAncestry gives one index the needs of its step.
func withAncestry(needs map[string][]string, step, index string) map[string][]string {
	all := make(map[string][]string, len(needs)+1)
	for name, list := range needs {
		all[name] = list
	}
	all[index] = needs[step]
	return all
}

// deadline is Deadline as a time.
func (s Step) deadline() time.Time { return time.Unix(s.Deadline, 0) }
