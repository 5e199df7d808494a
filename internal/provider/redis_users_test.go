package provider_test

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// bridge is this machine's address for the pods of the test cluster.
func bridge(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(clustertest.Getenv(t, "BRANE_REDIS_POD_URL"))
	must(t, err)
	return u.Hostname()
}

// withRedis is a configuration whose provider block has a redis block as well.
func withRedis(config, redis string) string {
	return strings.Replace(config, "provider \"brane\" {", "provider \"brane\" {\n  redis = {\n"+redis+"\n  }\n", 1)
}

// The user that a run's pods come as is the run's own, where the attribute and the server let it; it is gone when the run has ended.
func TestAccRedis_aclUsers(t *testing.T) {
	t.Parallel()
	s := newSetting(t)
	s.register(t)
	without := []string{"--rename-command", "ACL", ""} // as managed services
	for name, tt := range map[string]struct {
		users  string
		server []string
		own    bool
		fails  string
	}{
		"auto":                               {users: "auto", own: true},
		"auto, and the server makes none":    {users: "auto", server: without},
		"require":                            {users: "require", own: true},
		"require, and the server makes none": {users: "require", server: without, fails: "redis cannot create users for runs"},
		"off":                                {users: "off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, append([]string{"--appendonly", "yes", "--requirepass", "s3cret", "--bind", "127.0.0.1", bridge(t)}, tt.server...)...)
			config := withRedis(s.run(t, "acl-"+clustertest.Name("u"), `steps = { wait = { image = "$TOOLS", command = ["sh", "-c", "sleep 1"] } }`),
				fmt.Sprintf("    url = %q\n    pod_url = %q\n    acl_users = %q", server.URL(), strings.Replace(server.URL(), "127.0.0.1", bridge(t), 1), tt.users))
			if tt.fails != "" {
				failing(t, resource.TestStep{Config: config}, []string{tt.fails})
				return
			}
			seen := watchUsers(t, server.Client(), func(context.Context, string) {})
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: inProcess,
				Steps: []resource.TestStep{{Config: config, Check: func(state *terraform.State) error {
					user := "brane-" + state.RootModule().Resources[runAddress].Primary.ID
					if own := slices.Contains(seen(), user); own != tt.own {
						return fmt.Errorf("connections came as %q; is %s one of them: %v, want %v", seen(), user, own, tt.own)
					}
					if tt.server == nil {
						users, err := server.Client().Do(t.Context(), "ACL", "USERS").StringSlice()
						if err != nil || !slices.Equal(users, []string{"default"}) {
							return fmt.Errorf("after the run there are the users %q, %w", users, err)
						}
					}
					return nil
				}}},
			})
		})
	}
}

// The run's user is removed while its step runs, and made again: what the step leaves is committed all the same.
func TestAccRedis_aclUserRemoved(t *testing.T) {
	t.Parallel()
	s := newSetting(t)
	s.register(t)
	server := redistest.Start(t, "--appendonly", "yes", "--requirepass", "s3cret", "--bind", "127.0.0.1", bridge(t))
	admin := server.Client()
	removed := 0
	seen := watchUsers(t, admin, func(ctx context.Context, user string) {
		if removed == 0 && strings.HasPrefix(user, "brane-removed-") {
			removed = int(admin.ACLDelUser(ctx, user).Val())
		}
	})
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: inProcess,
		Steps: []resource.TestStep{{
			Config: withRedis(s.run(t, "removed", `steps = { wait = { image = "$TOOLS", command = ["sh", "-c", "sleep 3; echo done >/data/out"] } }
  outputs = { out = { path = "out" } }`),
				fmt.Sprintf("    url = %q\n    pod_url = %q\n    acl_users = \"require\"", server.URL(), strings.Replace(server.URL(), "127.0.0.1", bridge(t), 1))),
			ConfigStateChecks: []statecheck.StateCheck{runValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"out": output("out", "done\n")}))},
			Check: func(*terraform.State) error {
				if users := seen(); removed != 1 {
					return fmt.Errorf("%d users were removed, of %q", removed, users)
				}
				return nil
			},
		}},
	})
}

var connectionUser = regexp.MustCompile(` user=(\S+) `)

// watchUsers looks again and again as whom clients are connected, until what it returns is called, which says all who were seen.
func watchUsers(t *testing.T, client *redis.Client, each func(ctx context.Context, user string)) func() []string {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var users []string
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, found := range connectionUser.FindAllStringSubmatch(client.ClientList(ctx).Val(), -1) {
				if !slices.Contains(users, found[1]) {
					users = append(users, found[1])
				}
				each(ctx, found[1])
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { stop(); <-ended })
	return func() []string { stop(); <-ended; return users }
}

// Pods reach a Redis that wants TLS and a client's certificate, by the same certificates as the provider.
func TestAccRedis_tlsInPods(t *testing.T) {
	t.Parallel()
	s := newSetting(t)
	s.register(t)
	server := redistest.StartTLS(t, "--appendonly", "yes", "--requirepass", "s3cret", "--bind", "127.0.0.1", bridge(t), "--tls-auth-clients", "yes")
	const heredoc = "    %s = <<EOT\n%sEOT\n"
	redis := fmt.Sprintf("    url = %q\n    pod_url = %q\n", server.URL(), strings.Replace(server.URL(), "127.0.0.1", bridge(t), 1)) +
		fmt.Sprintf(heredoc, "ca_certificate", server.CA) + fmt.Sprintf(heredoc, "client_certificate", server.Cert) + fmt.Sprintf(heredoc, "client_key", server.Key)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: inProcess,
		Steps: []resource.TestStep{{
			Config: withRedis(s.run(t, "tls", `inputs = { a = { content = "alice" } }
  steps   = { copy = { image = "$TOOLS", command = ["cp", "/data/a", "/data/b"] } }
  outputs = { b = { path = "b" } }`), redis),
			ConfigStateChecks: []statecheck.StateCheck{runValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"b": output("b", "alice")}))},
		}},
		CheckDestroy: func(*terraform.State) error {
			if n := server.Client().DBSize(context.Background()).Val(); n != 0 {
				return fmt.Errorf("%d keys are left", n)
			}
			return nil
		},
	})
}
