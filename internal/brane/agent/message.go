package agent

import (
	"fmt"
	"strings"
)

// Message is a line of the agent between the lines of the program.
func Message(step, text string) string {
	if step == "" {
		return fmt.Sprintf("brane: %s\n", text)
	}
	return fmt.Sprintf("brane: step %q: %s\n", step, text)
}

// IsMessage says whether a text is one of the agent's, and not of a program.
func IsMessage(text string) bool { return strings.HasPrefix(text, "brane: ") }

// Explain is the error and what to do about it.
func Explain(err error) string {
	if advice := hint(err); advice != "" {
		return fmt.Sprintf("%v; %s", err, advice)
	}
	return err.Error()
}
