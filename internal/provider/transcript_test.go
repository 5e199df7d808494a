package provider_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The terminal transcript of the README is what happens: the configuration above it is applied, each command of the transcript is run, and it prints the lines
// below it in their order.
func TestAccTranscript(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	acctest.NoError(t, err)
	var transcript block
	for _, b := range readBlocks("README.md", text) {
		switch b.language {
		case "terraform":
			conf := parseConfiguration(t, b.String(), map[string][]byte{"main.tf": []byte(b.text)})
			r.learnNames(t, conf)
			r.cli.WriteFile(t, "main.tf", string(r.adapt(t, []byte(b.text))))
		case "console":
			transcript = b
		}
	}
	r.cli.WriteFile(t, "provider.tf", acctest.RequiredProviders+"provider \"brane\" {}\n")
	r.cli.Run(t, "init", "-no-color")
	commands := strings.Split("\n"+transcript.text, "\n$ ")[1:]
	if len(commands) < 6 {
		t.Errorf("the transcript has only %d commands", len(commands))
	}
	for _, shown := range commands {
		command, lines, _ := strings.Cut(shown, "\n")
		printed := r.show(t, command, strings.Contains(lines, "Error: "))
		for line := range strings.Lines(lines) {
			if strings.TrimSpace(line) == "" {
				continue
			}
			at := r.toPattern(t, line).FindStringIndex(printed)
			if at == nil {
				t.Fatalf("%s does not print %q, or not in this order:\n%s", command, line, printed)
			}
			printed = printed[at[1]:]
		}
	}
}

// show runs a command and returns what it prints, without decoration. It has to fail if the transcript shows an error, and to succeed otherwise.
func (r *reader) show(t *testing.T, command string, mustFail bool) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", r.replaceNames(t, comment.ReplaceAllString(command, "")))
	cmd.Dir, cmd.Env = r.cli.Directory, r.cli.Env
	out, err := cmd.CombinedOutput()
	text := decoration.ReplaceAllString(string(out), "")
	if (err != nil) != mustFail {
		t.Fatalf("%s: %v\n%s", command, err, text)
	}
	t.Logf("$ %s\n%s", command, text)
	return text
}
