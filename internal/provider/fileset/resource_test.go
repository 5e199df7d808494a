package fileset_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

const fileSetAddress = "brane_file_set.test"

// The test creates, reads, updates, repairs and destroys a file set, also one that is missing.
func TestAccFileSet(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes")
	client := server.Client()
	directory := t.TempDir()
	acctest.NoError(t, os.MkdirAll(filepath.Join(directory, "deep"), 0o750))
	large := strings.Repeat("0123456789", 300_000)
	acctest.NoError(t, os.WriteFile(filepath.Join(directory, "large"), []byte(large), 0o600))
	saved := filepath.Join(t.TempDir(), "saved")
	config := func(text string) string {
		return acctest.RedisConfig(server.URL(), "", fmt.Sprintf(`
resource "brane_file_set" "test" {
  name = "corpus"
  files = {
    "a.txt"      = { content = %q }
    "deep/large" = { source = %q }
  }
}
data "brane_file" "a" {
  file_set = brane_file_set.test.reference
  path = "a.txt"
}
data "brane_file" "large" {
  file_set    = brane_file_set.test.reference
  path    = "deep/large"
  save_to = %q
}
`, text, filepath.Join(directory, "large"), saved))
	}
	sum := func(text string) string {
		return acctest.SHA256(acctest.SHA256(text) + "  a.txt\n" + acctest.SHA256(large) + "  deep/large\n")
	}
	isContent := func(text string) []statecheck.StateCheck {
		return []statecheck.StateCheck{
			statecheck.ExpectKnownValue(fileSetAddress, tfjsonpath.New("sha256"), knownvalue.StringExact(sum(text))),
			statecheck.ExpectKnownValue(fileSetAddress, tfjsonpath.New("reference"), knownvalue.StringExact("corpus@"+sum(text))),
			statecheck.ExpectKnownValue("data.brane_file.a", tfjsonpath.New("content"), knownvalue.StringExact(text)),
			statecheck.ExpectKnownValue("data.brane_file.large", tfjsonpath.New("content"), knownvalue.Null()),
			statecheck.ExpectKnownValue("data.brane_file.large", tfjsonpath.New("sha256"), knownvalue.StringExact(acctest.SHA256(large))),
			statecheck.ExpectKnownValue("data.brane_file.large", tfjsonpath.New("size"), knownvalue.Int64Exact(int64(len(large)))),
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy: func(*terraform.State) error {
			if n := client.DBSize(context.Background()).Val(); n != 0 {
				return fmt.Errorf("%d keys are left", n)
			}
			return nil
		},
		Steps: []resource.TestStep{
			{Config: config("alice"), ConfigStateChecks: isContent("alice"), Check: func(*terraform.State) error {
				content, err := os.ReadFile(saved)
				if err == nil && string(content) != large {
					err = fmt.Errorf("%d bytes were saved", len(content))
				}
				return err
			}},
			{Config: config("alice"), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: acctest.NoChange}},
			{
				Config: config("bob"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(fileSetAddress, plancheck.ResourceActionUpdate),
					plancheck.ExpectKnownValue(fileSetAddress, tfjsonpath.New("reference"), knownvalue.StringExact("corpus@"+sum("bob"))),
				}},
				ConfigStateChecks: isContent("bob"),
			},
			{ // somebody deletes the small file's chunk
				PreConfig: func() {
					acctest.NoError(t, client.Unlink(t.Context(), "brane:set--corpus:c:"+acctest.SHA256("bob")).Err())
				},
				Config:            config("bob"),
				ConfigPlanChecks:  acctest.ExpectDrift(fileSetAddress, plancheck.ResourceActionUpdate, `file "a.txt" is missing in Redis`),
				ConfigStateChecks: isContent("bob"),
			},
			{ // somebody changes both
				PreConfig: func() {
					other := strings.Repeat("9", files.ChunkSize)
					acctest.NoError(t, client.SetArgs(t.Context(), "brane:set--corpus:c:"+acctest.SHA256("bob"), "rob", redis.SetArgs{Mode: "XX", KeepTTL: true}).Err())
					acctest.NoError(t, client.SetArgs(t.Context(), "brane:set--corpus:c:"+acctest.SHA256(large[:files.ChunkSize]), other, redis.SetArgs{Mode: "XX", KeepTTL: true}).Err())
					acctest.NoError(t, os.Remove(saved)) // so that it is read again
				},
				Config:            config("bob"),
				ConfigPlanChecks:  acctest.ExpectDrift(fileSetAddress, plancheck.ResourceActionUpdate, `file "a.txt" is modified in Redis`, `file "deep/large" is modified in Redis`),
				ConfigStateChecks: isContent("bob"),
			},
			{ // somebody changes the list of files
				PreConfig: func() {
					list, _, _ := strings.Cut(client.Get(t.Context(), "brane:set--corpus:set").Val(), " ")
					acctest.NoError(t, client.SetArgs(t.Context(), "brane:set--corpus:c:"+list, "none", redis.SetArgs{Mode: "XX", KeepTTL: true}).Err())
				},
				Config:            config("bob"),
				ConfigPlanChecks:  acctest.ExpectDrift(fileSetAddress, plancheck.ResourceActionUpdate, "the list of files is missing in Redis"),
				ConfigStateChecks: isContent("bob"),
			},
			{ // another configuration has taken the name
				PreConfig: func() {
					set, err := files.OpenSet(client, "corpus")
					acctest.NoError(t, err)
					_, err = set.Put(t.Context(), acctest.SHA256("theirs"), map[string]files.Source{"a.txt": {Content: []byte("theirs")}})
					acctest.NoError(t, err)
				},
				Config:            config("bob"),
				ConfigPlanChecks:  acctest.ExpectDrift(fileSetAddress, plancheck.ResourceActionUpdate, "other content is stored: "+acctest.SHA256("theirs")),
				ConfigStateChecks: isContent("bob"),
			},
			{ // everything is gone
				PreConfig:         func() { acctest.NoError(t, client.FlushAll(t.Context()).Err()) },
				Config:            config("bob"),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(fileSetAddress, plancheck.ResourceActionCreate)}},
				ConfigStateChecks: isContent("bob"),
			},
			{ // the same from a directory
				PreConfig: func() {
					acctest.NoError(t, os.WriteFile(filepath.Join(directory, "a.txt"), []byte("bob"), 0o600))
					acctest.NoError(t, os.Rename(filepath.Join(directory, "large"), filepath.Join(directory, "deep", "large")))
				},
				Config: acctest.RedisConfig(server.URL(), "", fmt.Sprintf("resource \"brane_file_set\" \"test\" {\n  name   = \"corpus\"\n  directory = %q\n}\n", directory)),
				ConfigStateChecks: []statecheck.StateCheck{
					statecheck.ExpectKnownValue(fileSetAddress, tfjsonpath.New("sha256"), knownvalue.StringExact(sum("bob"))),
				},
			},
		},
	})
}

// Two runs use one set; new content replaces the run.
func TestAccFileSet_inARun(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	s.RegisterInfrastructure(t)
	config := func(text string) string {
		return s.Config(t, fmt.Sprintf(`
resource "brane_file_set" "test" {
  name  = "$NAMESPACE"
  files = { "deep/a.txt" = { content = %q } }
}
resource "brane_workflow_run" "test" {
  name           = "reads"
  infrastructure = "$NAMESPACE"
  inputs         = { corpus = { file_set = brane_file_set.test.reference } }
  steps          = { copy = { image = "$TOOLS", command = ["cp", "/data/corpus/deep/a.txt", "/data/copy"] } }
  outputs        = { copy = { path = "copy" } }
}
data "brane_file" "copy" {
  run   = brane_workflow_run.test.id
  outputs_digest = brane_workflow_run.test.outputs_digest
  path  = "copy"
}
`, text))
	}
	copied := func(text string) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectKnownValue("data.brane_file.copy", tfjsonpath.New("content"), knownvalue.StringExact(text))}
	}
	var ids []string
	remember := func(state *terraform.State) error {
		id, err := acctest.RunID(state)
		ids = append(ids, id, "set--"+s.Namespace)
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, ids...) },
		Steps: []resource.TestStep{
			{Config: config("alice"), ConfigStateChecks: copied("alice"), Check: remember},
			{
				Config:            config("bob"),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate)}},
				ConfigStateChecks: copied("bob"), Check: remember,
			},
		},
	})
}

func TestAccFileSet_fails(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction")
	file := func(body string) string {
		return acctest.RedisConfig(server.URL(), "", "resource \"brane_file_set\" \"test\" {\n  name = \"corpus\"\n"+body+"\n}\n")
	}
	large := filepath.Join(t.TempDir(), "large")
	acctest.WriteNoise(t, large, 8<<20)
	for name, tt := range map[string]struct {
		config string
		want   []string
	}{
		"neither files nor directory":    {file(""), []string{"Invalid Attribute Combination"}},
		"a directory that is not there":  {file(`directory = "/no/such"`), []string{"Directory not readable", `no such file or directory. Set the path of a directory that exists when Terraform plans.`}},
		"a directory that is a file":     {file(fmt.Sprintf("directory = %q", large)), []string{"is not a directory"}},
		"a file that is not there":       {file(`files = { a = { source = "/no/such" } }`), []string{"File not readable", `Reading the file for "a": open /no/such: no such file or directory.`}},
		"a path that leads outside":      {file(`files = { "../a" = { content = "" } }`), []string{`"../a": must be relative`}},
		"more than Redis has memory for": {file(fmt.Sprintf("files = { a = { source = %q } }", large)), []string{"Failed to store file set", "the files need 8.2 MiB of memory, redis has"}},
		"a reference that is none":       {acctest.RedisConfig(server.URL(), "", "data \"brane_file\" \"x\" {\n  file_set = \"corpus\"\n  path = \"a\"\n}\n"), []string{`"corpus" is not a reference to a file set`}},
		"a content that nobody has": {
			acctest.RedisConfig(server.URL(), "", "data \"brane_file\" \"x\" {\n  file_set = \"corpus@"+strings.Repeat("0", 64)+"\"\n  path = \"a\"\n}\n"),
			[]string{"Failed to read file", `the content 000000000000… of file set "corpus" is not in redis any more`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acctest.ExpectError(t, resource.TestStep{Config: tt.config}, tt.want)
		})
	}
}
