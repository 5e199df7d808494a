package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
)

// errorSays takes an error of the CLI apart: line breaks are where the terminal happened to end.
func errorSays(err error, sentences ...string) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, sentence := range sentences {
		if !strings.Contains(text, sentence) {
			return fmt.Errorf("the error does not say\n%s\nbut\n%w", sentence, err)
		}
	}
	return nil
}

// failing applies a configuration that must fail with these sentences, then the steps.
func failing(t *testing.T, first resource.TestStep, sentences []string, then ...resource.TestStep) {
	t.Helper()
	failed := false
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: inProcess,
		ErrorCheck: func(err error) error {
			if failed {
				return err // of a later step
			}
			failed = true
			return errorSays(err, sentences...)
		},
		Steps: append([]resource.TestStep{first}, then...),
	})
	if !failed {
		t.Error("there was no error")
	}
}
