package workflow

import (
	"encoding/json"
	"fmt"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Outcome is what an engine writes about a run that has ended.
type Outcome struct {
	Result
	Outputs files.Layer // the declared outputs, which are kept; empty if there are none
	Problem string      // why it did not finish; empty if it did
}

// MostFailures limits the failures that are written in full: one has at most about 8 KiB, and an API object at most 1 MiB.
const MostFailures = 32

// Encode encodes an outcome, with the first mostFailures failures. The results contain every failed step.
func (o Outcome) Encode() (string, error) {
	for _, failures := range []*[]*Failure{&o.Failures, &o.Allowed} {
		*failures = (*failures)[:min(len(*failures), MostFailures)]
	}
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("encode the outcome: %w", err)
	}
	return string(text), nil
}
