package workflow

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Outcome is what an engine leaves of a run that is over.
type Outcome struct {
	Result
	Outputs files.Layer // the declared outputs, which are kept; empty where there are none
	Problem string      // why it did not finish; empty where it was
}

// mostFailures of a run are told in full: one is at most some 8 KiB, and an object of the API at most 1 MiB.
const mostFailures = 32

// encode writes an outcome down. Of more failures than anybody reads the first are told; the results name every step that failed.
func (o Outcome) encode() (string, error) {
	for _, failures := range []*[]*Failure{&o.Failures, &o.Allowed} {
		*failures = (*failures)[:min(len(*failures), mostFailures)]
	}
	text, err := json.Marshal(o)
	if err != nil {
		return "", fmt.Errorf("encode the outcome: %w", err)
	}
	return string(text), nil
}

// lasting says whether outputs will not be there at another try either.
func lasting(err error) bool {
	var missing *files.MissingError
	var conflict *files.ConflictError
	return errors.As(err, &missing) || errors.As(err, &conflict) || errors.Is(err, files.ErrGone) || errors.Is(err, files.ErrCorrupt)
}
