package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestManagedServices runs two steps on servers without the commands that managed services, according to the guide on Redis, do not have. The provider checks the server,
// stores inputs, reads commits and deletes the run as the same user.
func TestManagedServices(t *testing.T) {
	guide, err := os.ReadFile("../../docs/guides/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(guide), "| Service | Missing commands |")
	rows := regexp.MustCompile("(?m)^\\| ([^|]+) \\| (`[^|]+) \\|").FindAllStringSubmatch(table, -1)
	if len(rows) < 5 {
		t.Fatalf("the guide has only %d services with missing commands", len(rows))
	}
	for _, row := range rows {
		t.Run(row[1], func(t *testing.T) {
			server := redistest.Start(t, "--requirepass", "s3cret", "--appendonly", "yes")
			removeCommands(t, server, row[2])
			r := runOn(t, server, map[string]files.Source{"names": {Content: []byte("Ada\n")}})
			client, err := files.Dial(server.URL())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() }) // nothing is written any more
			if warnings, err := files.Check(t.Context(), client); err != nil || len(warnings) > 0 {
				t.Errorf("the provider reports %q, %v", warnings, err)
			}
			if got := r.pod("greet", nil).sh("sed 's/^/Hello, /' names >greetings"); got.code != 0 {
				t.Fatalf("greet ended with %d: %s", got.code, got.stderr)
			}
			if got := r.pod("count", map[string][]string{"count": {"greet"}, "greet": nil}).sh("wc -l <greetings >count"); got.code != 0 {
				t.Fatalf("count ended with %d: %s", got.code, got.stderr)
			}
			if got := strings.TrimSpace(r.content("count", "count")); got != "1" {
				t.Errorf("the output is %q", got)
			}
			if err := r.store.Delete(t.Context()); err != nil {
				t.Error(err)
			}
			if n := client.DBSize(t.Context()).Val(); n != 0 {
				t.Errorf("the run leaves %d keys", n)
			}
		})
	}
}

// removeCommands removes the commands of a list in Markdown from the permissions of the default user. Subcommands that the server does not have are missing anyway.
func removeCommands(t *testing.T, server *redistest.Server, list string) {
	t.Helper()
	var rules []any
	for _, command := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(list, -1) {
		rule := "-" + strings.ReplaceAll(strings.ToLower(command[1]), " ", "|")
		switch err := server.Client().ACLSetUser(t.Context(), "probe", rule).Err(); {
		case err == nil:
			rules = append(rules, rule)
		case !strings.Contains(err.Error(), "Unknown command"):
			t.Fatalf("%s: %v", rule, err)
		}
	}
	if len(rules) < 8 {
		t.Fatalf("only %d commands were removed", len(rules))
	}
	client := server.Client()
	if err := client.ACLDelUser(t.Context(), "probe").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), append([]any{"ACL", "SETUSER", "default"}, rules...)...).Err(); err != nil {
		t.Fatal(err)
	}
}
