package files

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// guide is the description of the format that others write readers from.
func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../templates/guides/format.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTheGuidesExamplesAreReal: what stands in the guide is what this package reads and writes.
func TestTheGuidesExamplesAreReal(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(guide(t), -1)
	if len(blocks) != 2 {
		t.Fatalf("the guide has %d examples, want a manifest and a record", len(blocks))
	}
	tree, err := parseManifest(blocks[0][1])
	if err != nil {
		t.Fatal(err)
	}
	var again strings.Builder
	if err := printManifest(&again, tree); err != nil || again.String() != blocks[0][1] {
		t.Errorf("the manifest would be written as\n%s, %v", &again, err)
	}
	if _, err := ParseRecord([]byte(blocks[1][1])); err != nil {
		t.Error(err)
	}
}

// TestTheGuidesRightsAreEnough for the provider; the agent's are tried with the agent.
func TestTheGuidesRightsAreEnough(t *testing.T) {
	rules := regexp.MustCompile(`~brane:\* .*`).FindString(guide(t))
	if rules == "" {
		t.Fatal("the guide has no rights for the provider")
	}
	server := redistest.Start(t)
	user := append([]string{"on", ">s3cret", "resetchannels"}, strings.Fields(rules)...)
	if err := server.Client().ACLSetUser(t.Context(), "provider", user...).Err(); err != nil {
		t.Fatal(err)
	}
	client := dial(t, "redis://provider:s3cret@"+server.Addr())
	if warnings, err := Check(t.Context(), client); err != nil || len(warnings) != 1 {
		t.Errorf("Check says %q, %v; want only that nothing is kept on disk", warnings, err)
	}
	exercise(t, client, server.Client())
}
