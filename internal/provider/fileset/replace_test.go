package fileset_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// With create_before_destroy, the set is stored again before the old resource is destroyed, which must not delete it. Without that, it is deleted and stored.
func TestAccFileSet_replaced(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes")
	client := server.Client()
	config := func(createFirst bool) string {
		return acctest.RedisConfig(server.URL(), "", fmt.Sprintf(`resource "brane_file_set" "test" {
  name  = "corpus"
  files = { a = { content = "kept" } }
  lifecycle { create_before_destroy = %t }
}
`, createFirst))
	}
	var first int64
	countKeys := func(*terraform.State) error {
		found := client.DBSize(t.Context()).Val()
		if first == 0 {
			first = found
		}
		if found == 0 || found != first {
			return fmt.Errorf("Redis has %d keys, and not %d", found, first)
		}
		return nil
	}
	taint := []string{"brane_file_set.test"}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config(true), Check: countKeys},
			{Config: config(true), Taint: taint, Check: countKeys},
			{Config: config(true), Taint: taint, Check: countKeys},
			{Config: config(false), Check: countKeys},
			{Config: config(false), Taint: taint, Check: countKeys},
			{Config: "removed { \n  from = brane_file_set.test\n  lifecycle { destroy = false }\n}\n" + acctest.RedisConfig(server.URL(), "", ""), Check: countKeys},
			{Config: "import {\n  to = brane_file_set.test\n  id = \"corpus\"\n}\n" + config(true), Check: countKeys},
			{Config: config(true), Taint: taint, Check: countKeys},
		},
		CheckDestroy: func(*terraform.State) error {
			if n := client.DBSize(context.Background()).Val(); n != 0 {
				return fmt.Errorf("%d keys are left", n)
			}
			return nil
		},
	})
}
