package acctest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
)

// CheckError checks that an error of the CLI contains sentences. It ignores line breaks, which depend on the width of the terminal.
func CheckError(err error, sentences ...string) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, sentence := range sentences {
		if !strings.Contains(text, sentence) {
			return fmt.Errorf("the error does not say\n%s\nbut\n%w", sentence, err)
		}
	}
	return nil
}

// ExpectError applies a configuration that must fail with an error that contains these sentences, then runs the other steps.
func ExpectError(t *testing.T, first resource.TestStep, sentences []string, then ...resource.TestStep) {
	t.Helper()
	failed := false
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: ProviderFactories,
		ErrorCheck: func(err error) error {
			if failed {
				return err // of a later step
			}
			failed = true
			return CheckError(err, sentences...)
		},
		Steps: append([]resource.TestStep{first}, then...),
	})
	if !failed {
		t.Error("there was no error")
	}
}
