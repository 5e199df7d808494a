package agent

import (
	"fmt"
	"strings"
)

// Message formats a line that the agent writes between the lines of the command.
func Message(step, text string) string {
	if step == "" {
		return fmt.Sprintf("brane: %s\n", text)
	}
	return fmt.Sprintf("brane: step %q: %s\n", step, text)
}

// IsMessage reports whether the agent wrote a text, and not a command.
func IsMessage(text string) bool { return strings.HasPrefix(text, "brane: ") }

// Explain returns the text of an error and what to do about it.
func Explain(err error) string {
	if advice := describeRemedy(err); advice != "" {
		return fmt.Sprintf("%v; %s", err, advice)
	}
	return err.Error()
}
