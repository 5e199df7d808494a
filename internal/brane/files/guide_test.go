package files

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// guide returns the description of the format, from which others write readers.
func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../templates/guides/format.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestGuideExamples checks that this package reads and writes the examples of the guide.
func TestGuideExamples(t *testing.T) {
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
	record, err := ParseRecord([]byte(blocks[1][1]))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("(?s)```sh\n(printf '%s\\\\0' .*?)```").FindStringSubmatch(guide(t))
	if command == nil {
		t.Fatal("the guide has no command that computes a content digest")
	}
	s := open(t, dial(t, redistest.Start(t).URL()), "guide")
	layer, err := s.PutTree(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		command string
		reads   Patterns
	}{{command[1], nil}, {strings.Replace(command[1], ` "$(printf 'part.\377')" f 600 0`, "", 1), Patterns{"latest", "corpus/*.txt"}}} {
		digest, err := exec.Command("/bin/sh", "-c", tt.command).Output() // from the guide
		if got := strings.TrimSpace(string(digest)); err != nil || tt.reads == nil && got != record.Content {
			t.Errorf("the command in the guide prints %q, %v; the record has %q", got, err, record.Content)
		}
		if want, err := s.DigestView(t.Context(), layer, tt.reads); err != nil || want+"\n" != string(digest) {
			t.Errorf("with reads %q, the command in the guide prints %q, want %s, %v", tt.reads, digest, want, err)
		}
	}
}

// guidePermissions returns the rules of the provider's user in the guide.
func guidePermissions(t *testing.T) []string {
	t.Helper()
	rules := regexp.MustCompile(`~brane:\* .*`).FindString(guide(t))
	if rules == "" {
		t.Fatal("the guide has no rights for the provider")
	}
	return strings.Fields(rules)
}

// limitedTo returns a client whose user has only these permissions.
func limitedTo(t *testing.T, server *redistest.Server, rules []string) redis.UniversalClient {
	t.Helper()
	if err := server.Client().ACLSetUser(t.Context(), "provider", append([]string{"reset", "on", ">s3cret"}, rules...)...).Err(); err != nil {
		t.Fatal(err)
	}
	return dial(t, "redis://provider:s3cret@"+server.Addr())
}

// TestGuidePermissionsSuffice checks the permissions of the provider; those of the agent are tested with the agent.
func TestGuidePermissionsSuffice(t *testing.T) {
	server := redistest.Start(t)
	client := limitedTo(t, server, guidePermissions(t))
	if warnings, err := Check(t.Context(), client); err != nil || len(warnings) != 1 {
		t.Errorf("Check says %q, %v; want only that nothing is kept on disk", warnings, err)
	}
	exercise(t, client, server.Client())
}

// TestCheckFindsEachMissingPermission removes each permission of the guide in turn, and checks that Check leaves no key.
func TestCheckFindsEachMissingPermission(t *testing.T) {
	onKey := func(command string) string {
		return "check redis: run " + command + ` on a key that begins with "brane:": the redis user lacks a permission: NOPERM `
	}
	onChannel := func(command string) string {
		return "check redis: run " + command + ` on a channel that begins with "brane:": the redis user lacks a permission: NOPERM `
	}
	const isWell = "<nil>"
	want := map[string]string{
		"~brane:*": onKey("GET"), "&brane:*": onChannel("PUBLISH"), "-@all": isWell,
		"+get": onKey("GET"), "+set": onKey("SET"), "+exists": onKey("EXISTS"), "+strlen": onKey("STRLEN"), "+persist": onKey("PERSIST"), "+scan": onKey("SCAN"), "+unlink": onKey("UNLINK"),
		"+hset": onKey("HSET"), "+hget": onKey("HGET"), "+hgetall": onKey("HGETALL"), "+copy": onKey("COPY"), "+expireat": onKey("EXPIREAT"),
		"+publish": onChannel("PUBLISH"), "+subscribe": onChannel("SUBSCRIBE"),
		"+ping": "check redis: the redis user lacks a permission: NOPERM ",
		// The client continues without these, or with what it knew before.
		"+hdel": isWell, "+unsubscribe": isWell, "+time": isWell, "+hello": isWell, "+auth": isWell, "+select": isWell, "+info": isWell, "+config|get": isWell,
	}
	server := redistest.Start(t)
	for i, rule := range guidePermissions(t) {
		t.Run("without "+rule, func(t *testing.T) {
			_, err := Check(t.Context(), limitedTo(t, server, slices.Delete(guidePermissions(t), i, i+1)))
			if said := fmt.Sprint(err); want[rule] == "" || !strings.HasPrefix(said, want[rule]) {
				t.Errorf("got  %s\nwant %s…", said, want[rule])
			}
			if err != nil && !errors.Is(err, ErrForbidden) {
				t.Errorf("it is no %v", ErrForbidden)
			}
			if keys := server.Client().Keys(t.Context(), "*").Val(); len(keys) > 0 {
				t.Errorf("these keys are left: %q", keys)
			}
		})
	}
}
