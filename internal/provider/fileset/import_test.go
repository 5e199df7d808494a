package fileset_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// A set is imported by its name, or by its name and the directory of its files; the next plan is empty.
func TestAccFileSet_import(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	acctest.NoError(t, errors.Join(os.Mkdir(filepath.Join(directory, "deep"), 0o750), os.WriteFile(filepath.Join(directory, "deep", "b"), []byte("\xff\xfe"), 0o600)))
	for name, tt := range map[string]struct{ body, id string }{
		"texts of the configuration": {"files = { \"a.txt\" = { content = \"alice\" }, \"deep/b\" = { content = \"bob\" } }", "corpus"},
		"a directory":                {fmt.Sprintf("directory = %q", directory), "corpus:" + directory},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "--appendonly", "yes")
			config := acctest.RedisConfig(server.URL(), "", fmt.Sprintf("resource \"brane_file_set\" \"test\" {\n  name = \"corpus\"\n  %s\n}\n", tt.body))
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				Steps: []resource.TestStep{
					{Config: config},
					{ResourceName: fileSetAddress, ImportState: true, ImportStateId: tt.id, ImportStateVerify: true, ImportStateVerifyIdentifierAttribute: "name"},
					{ResourceName: fileSetAddress, ImportState: true, ImportStateKind: resource.ImportBlockWithID, ImportStateId: tt.id}, // wants a plan that changes nothing
					{ResourceName: fileSetAddress, ImportState: true, ImportStateId: "Corpus", ExpectError: regexp.MustCompile(`(?s)Invalid import ID.*"Corpus"`)},
					{ResourceName: fileSetAddress, ImportState: true, ImportStateId: "another", ExpectError: regexp.MustCompile(`(?i)cannot import non-existent`)},
				},
			})
		})
	}
}

// The keys of a put that was killed before the set existed expire, or are removed by the next apply of any content. After the destroy no key exists.
func TestAccFileSet_killedBeforePublishing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes")
	client := server.Client()
	interrupted(t, server.URL(), "corpus", "lost on the way")
	left := chunksOf(t, client)
	if len(left) == 0 {
		t.Fatal("the interrupted put has left nothing; there is nothing to test")
	}
	for _, key := range left {
		if ttl := client.TTL(t.Context(), key).Val(); ttl <= 0 {
			t.Fatalf("%s has no deadline", key)
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config: acctest.RedisConfig(server.URL(), "", "resource \"brane_file_set\" \"test\" {\n  name  = \"corpus\"\n  files = { a = { content = \"kept\" } }\n}\n"),
			Check: func(*terraform.State) error {
				for _, key := range left {
					if n := client.Exists(t.Context(), key).Val(); n != 0 {
						return fmt.Errorf("%s is still there", key)
					}
				}
				return nil
			},
		}},
		CheckDestroy: func(*terraform.State) error {
			if n := client.DBSize(context.Background()).Val(); n != 0 {
				return fmt.Errorf("%d keys are left", n)
			}
			return nil
		},
	})
}

func chunksOf(t *testing.T, client *redis.Client) []string {
	t.Helper()
	keys, err := client.Keys(t.Context(), "brane:set--*:c:*").Result()
	acctest.NoError(t, err)
	return keys
}

// interrupted puts a set with a client that fails when the set is to be published.
func interrupted(t *testing.T, url, name, content string) {
	t.Helper()
	client, err := files.Dial(url)
	acctest.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), testenv.Patience)
	defer stop()
	client.AddHook(dieBefore{command: "set", key: "brane:set--" + name + ":set", die: stop})
	set, err := files.OpenSet(client, name)
	acctest.NoError(t, err)
	if _, err := set.Put(ctx, acctest.SHA256(content), map[string]files.Source{"a": {Content: []byte(content)}}); !errors.Is(err, context.Canceled) {
		t.Fatalf("the put was not interrupted: %v", err)
	}
	acctest.NoError(t, client.Close())
}

// dieBefore cancels the context of the client before a command.
type dieBefore struct {
	command, key string
	die          func()
}

func (d dieBefore) DialHook(next redis.DialHook) redis.DialHook { return next }
func (d dieBefore) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (d dieBefore) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() == d.command && len(args) > 1 && args[1] == d.key {
			d.die()
		}
		return next(ctx, cmd)
	}
}
