package agent

import (
	"strings"
	"testing"
)

// An agent that does not have the version of the provider does not run the step, and its message names both versions and what to set.
func TestVersionOfTheProvider(t *testing.T) {
	for provider, want := range map[string]string{
		"": "", Version: "",
		"1.2.0": "the agent has version dev, but the provider that started it has version 1.2.0: leave out agent_image of the provider block " +
			"(or BRANE_AGENT_IMAGE), or set it to an image of version 1.2.0",
	} {
		const part = "0123456789abcdef0123456789abcdef"
		step := Step{Run: "r", Name: "a", Deadline: 1, Version: provider, Configuration: part, Seen: part, Layer: "x"}
		text, err := step.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if want != "" { // another version describes steps in another way
			text = `{"run":"r","name":"a","version":"` + provider + `"}`
		}
		got := ""
		if _, err := specFrom(func(name string) string { return map[string]string{EnvStep: text}[name] }); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", provider, got, want)
		}
		var said strings.Builder
		if code := Stage(Paths{Mount: t.TempDir(), Secret: t.TempDir()}, func(name string) string { return map[string]string{EnvStep: text}[name] }, &said); want != "" && (code != ExitStageIn || !strings.Contains(said.String(), want)) {
			t.Errorf("%q: exit code %d, %q", provider, code, said.String())
		}
	}
}
