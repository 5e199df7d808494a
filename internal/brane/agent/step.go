package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Step is what the agent has to know about its step. It contains no secret, because it is part of the pod's specification.
type Step struct {
	Run         string           `json:"run"`
	Name        string           `json:"name"`
	Attempt     int              `json:"attempt,omitempty"`
	Term        int              `json:"term,omitempty"`        // of the run's lease, in which the Job was created; a cancellation in an earlier term is ignored
	Deadline    int64            `json:"deadline"`              // of the run's keys, in seconds since 1970
	InMain      bool             `json:"in_main,omitempty"`     // the main container stages in instead of the init container, because it may run as another user
	Indexed     bool             `json:"indexed,omitempty"`     // an index of a fan-out step, in an Indexed Job: the name gets ".<index>"
	Indexes     IndexSet         `json:"indexes,omitempty"`     // those that run; empty means all
	Items       string           `json:"items,omitempty"`       // the digest under which the items of the step are stored; empty if it has none
	Item        *string          `json:"item,omitempty"`        // of the index, which is read from Redis: it is never part of the pod
	Reads       files.Patterns   `json:"reads,omitempty"`       // what is staged in; empty means everything
	Writes      files.Patterns   `json:"writes,omitempty"`      // what the step may change; empty means everything
	Patience    int              `json:"patience,omitempty"`    // for how many seconds a failing Redis command is retried; see connectRun for 0
	Connections int              `json:"connections,omitempty"` // to Redis, on which files are read or stored; 0 means 4
	Stop        int              `json:"stop,omitempty"`        // seconds from the request to stop until the command is killed; 0 means stopTimeout
	Version     string           `json:"version,omitempty"`     // of the provider, which the agent must have; empty means any
	Brane       branelet.Version `json:"brane,omitempty"`       // the command is branelet of this version, and its output contains a result; empty means any other command

	// Configuration and Seen form the fingerprint under which the step is committed. An index has another configuration: see
	// [IndexConfiguration].
	Configuration string      `json:"configuration"`
	Seen          string      `json:"seen,omitempty"`  // empty with Ahead
	Layer         files.Layer `json:"layer,omitempty"` // the files that the step starts with; empty with Ahead

	// Ahead means that the pod is created before the needs are committed. The main container waits for them, merges their files, and computes
	// what the step sees.
	Ahead        bool                         `json:"ahead,omitempty"`
	Needs        map[string][]string          `json:"needs,omitempty"`        // with Ahead: direct needs of the step and of all its ancestors
	Fingerprints map[string]files.Fingerprint `json:"fingerprints,omitempty"` // with Ahead: of the direct needs of the step
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
	case s.Items != "" && !files.IsItemsDigest(s.Items):
		return fmt.Errorf("the items %.80q are not a digest", s.Items)
	case len(s.Configuration) != files.FingerprintPart:
		return fmt.Errorf("the configuration %q is not a part of a fingerprint", s.Configuration)
	case !s.Ahead && s.Layer == "":
		return errors.New("no files to start with")
	case !s.Ahead && len(s.Seen) != files.FingerprintPart:
		return fmt.Errorf("what the step sees, %q, is not a part of a fingerprint", s.Seen)
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

// ParseStep parses the value of BRANE_STEP. The result has the fields that could be read even if there is an error.
func ParseStep(text []byte) (Step, error) {
	var s Step
	err := json.Unmarshal(text, &s)
	if err == nil {
		err = s.Validate()
	}
	if err != nil {
		err = fmt.Errorf("read the step: %w", err)
	}
	return s, err
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

// resultKey returns the key of the step's result. isKnown is false as long as the item, or what the step sees, is not known.
func (s Step) resultKey() (key files.ResultKey, isKnown bool) {
	return files.ResultKey{Step: s.Name, Fingerprint: files.NewFingerprint(s.Configuration, s.Seen)}, s.Items == "" && s.Seen != ""
}

// isCommitted reports whether another attempt has committed the step.
func (s Step) isCommitted(ctx context.Context, store *files.Store) (bool, error) {
	key, isKnown := s.resultKey()
	if !isKnown {
		return false, nil
	}
	commits, err := store.Commits(ctx, map[string]files.Fingerprint{key.Step: key.Fingerprint})
	return len(commits) > 0, err
}

// isCancelled reports whether the run was cancelled for this step.
func (s Step) isCancelled(ctx context.Context, store *files.Store) (bool, error) {
	term, err := store.CancelledTerm(ctx)
	return term > 0 && term >= s.Term, err
}

// deadlineTime returns Deadline as a time.
func (s Step) deadlineTime() time.Time { return time.Unix(s.Deadline, 0) }
