package workflow

import "github.com/braneframework/terraform-provider-brane/internal/brane/files"

// Outcome is what an engine writes about a run that has ended.
type Outcome struct {
	Result
	Outputs files.Layer // the declared outputs, which are kept; empty if there are none
	Problem string      // why it did not finish; empty if it did
}
