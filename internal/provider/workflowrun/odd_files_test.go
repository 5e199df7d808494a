package workflowrun_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestAccWorkflowRun_oddFiles passes on what programs leave: links in all forms, names with blanks, quotes and line breaks, modes, an empty directory; and skips
// pipes and sockets.
func TestAccWorkflowRun_oddFiles(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	write := []string{
		"mkdir -p /data/out/releases/1 /data/out/empty", "echo hello > /data/out/releases/1/hello", "cd /data/out",
		"ln -s releases/1 current", "ln -s current/hello relative", "ln -s /data/out/releases/1/hello absolute", "ln -s /data/out/releases/1/hello releases/1/nested",
		`echo a > 'a name with \"quotes\"'`, "echo b > 'größe 日本'", `printf c > \"$(printf 'two\\nlines')\"`,
		"echo d > program", "chmod 755 program", "echo e > readonly", "chmod 400 readonly",
	}
	left := []string{"ln -s nowhere /data/dangling", "ln -s there /data/here", "ln -s here /data/there", "ln -s /etc/hostname /data/outside", "mkfifo /data/pipe"}
	read := []string{
		"cd /data/out", "test -d empty", "test -h current", "test -h relative", "test -x program", "test ! -x readonly",
		"cat relative absolute releases/1/nested current/nested > /data/contents", "set -- *", "echo $# > /data/count",
		"test -h /data/dangling", "test -h /data/here", "test ! -e /data/pipe",
	}
	script := func(lines []string) string { return strings.Join(lines, "; ") }
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config: s.RunConfig(t, "odd", fmt.Sprintf(`
  defaults = { image = "$TOOLS" }
  steps = {
    write = { command = ["sh", "-euc", "%s"] }
    left  = { command = ["sh", "-euc", "%s"] }
    read  = { command = ["sh", "-euc", "%s"], needs = ["write", "left"] }
  }
  outputs = { contents = { path = "contents" }, count = { path = "count" }, relative = { path = "out/relative" }, nested = { path = "out/releases/1/nested" } }`,
				script(write), script(left), script(read))),
			ConfigStateChecks: []statecheck.StateCheck{acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{
				"contents": acctest.ExpectOutput("contents", "hello\nhello\nhello\nhello\n"), "count": acctest.ExpectOutput("count", "10\n"),
				"relative": acctest.ExpectOutput("out/relative", "hello\n"), "nested": acctest.ExpectOutput("out/releases/1/nested", "hello\n"),
			}))},
		}},
	})
}
