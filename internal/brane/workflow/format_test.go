package workflow_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// The commands in the guide on the format compute the configuration part of fingerprints, and the digest of items.
func TestGuideComputesConfigurations(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../templates/guides/format.md")
	if err != nil {
		t.Fatal(err)
	}
	step := workflow.Step{Image: "tools:1", Command: []string{"sh", "-c"}, Args: []string{"wc -w /data/*"}, Env: map[string]string{"LANG": "C"}, Reads: []string{"corpus/**"}}
	step.Configuration = step.DigestConfiguration(workflow.Triggers{Run: map[string]string{"release": "3"}})
	fan := step
	fan.Name, fan.Completions, fan.Items = "fan", 2, []string{"a", "b"}
	want := []string{step.Fingerprint("").Configuration(), fan.IndexFingerprints("")["fan.1"].Configuration(), fan.Fingerprint("").Configuration(), files.DigestItems(fan.Items)}

	_, section, _ := strings.Cut(string(text), "\n### Configuration\n")
	section, _, _ = strings.Cut(section, "\n### ")
	_, items, _ := strings.Cut(string(text), "\n## Items\n")
	items, _, _ = strings.Cut(items, "\n## ")
	var got []string
	for _, block := range append(strings.Split(section, "```sh\n")[1:], strings.Split(items, "```sh\n")[1:]...) {
		command, _, _ := strings.Cut(block, "```")
		out, err := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(command, "CONFIGURATION", step.Configuration)).Output()
		if err != nil {
			t.Fatalf("%s: %v", command, err)
		}
		got = append(got, strings.TrimSpace(string(out)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the guide computes %q, the provider %q", got, want)
	}
}
