package agent

import (
	"encoding/json"
	"fmt"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// seenResults is what a step sees that takes the results of other steps. As JSON it is the content of the second part of its fingerprint.
type seenResults struct {
	Files   string                     `json:"files"`
	Results map[string]json.RawMessage `json:"results"`
}

// DigestSeen returns the second part of the fingerprint of a step: the digest of the files that it sees, or, if its call takes the results of other
// steps, of that and these results. taken has the results as JSON by the names of the arguments.
func DigestSeen(view string, taken map[string]json.RawMessage) (string, error) {
	if len(taken) == 0 {
		return view, nil
	}
	text, err := json.Marshal(seenResults{view, taken})
	if err != nil {
		return "", fmt.Errorf("encode the results that the step takes: %w", err)
	}
	return files.ShortDigest(text), nil
}
