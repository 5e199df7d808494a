package fileset_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// A large file of a set, for which Redis stores only the digests of its chunks, is saved once. Later plans do not read it from Redis and do not write the file,
// unless it was modified.
func TestAccFile_savedOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes")
	client := server.Client()
	large := bytes.Repeat([]byte("0123456789"), 300_000)
	set, err := files.OpenSet(client, "corpus")
	acctest.NoError(t, err)
	_, err = set.Put(t.Context(), acctest.SHA256("corpus"), map[string]files.Source{"large": {Content: large}})
	acctest.NoError(t, err)
	to := filepath.Join(t.TempDir(), "saved")
	config := acctest.RedisConfig(server.URL(), "", fmt.Sprintf("data \"brane_file\" \"large\" {\n  file_set = \"corpus@%s\"\n  path = \"large\"\n  save_to = %q\n}\n", acctest.SHA256("corpus"), to))
	is := []statecheck.StateCheck{statecheck.ExpectKnownValue("data.brane_file.large", tfjsonpath.New("sha256"), knownvalue.StringExact(acctest.SHA256(string(large))))}
	sent := func() int {
		stats, err := client.InfoMap(t.Context(), "stats").Result()
		acctest.NoError(t, err)
		n, err := strconv.Atoi(stats["Stats"]["total_net_output_bytes"])
		acctest.NoError(t, err)
		return n
	}
	var before int
	var first os.FileInfo
	hasContent := func(*terraform.State) error {
		content, err := os.ReadFile(to)
		if err == nil && !bytes.Equal(content, large) {
			err = fmt.Errorf("%d bytes were saved", len(content))
		}
		return err
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config, ConfigStateChecks: is, Check: hasContent},
			{
				PreConfig: func() {
					var err error
					first, err = os.Stat(to)
					acctest.NoError(t, err)
					before = sent()
				},
				Config: config, ConfigStateChecks: is,
				Check: func(*terraform.State) error {
					now, err := os.Stat(to)
					if err == nil && (!os.SameFile(now, first) || !now.ModTime().Equal(first.ModTime())) {
						err = errors.New("the file was saved again")
					}
					if n := sent() - before; n > files.ChunkSize/2 {
						err = errors.Join(err, fmt.Errorf("Redis has sent %d bytes", n))
					}
					return err
				},
			},
			{ // somebody has changed the copy, whose size is the same
				PreConfig: func() { acctest.NoError(t, os.WriteFile(to, append([]byte("x"), large[1:]...), 0o600)) },
				Config:    config, ConfigStateChecks: is, Check: hasContent,
			},
		},
	})
}
