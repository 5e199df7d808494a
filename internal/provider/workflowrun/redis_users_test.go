package workflowrun_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// bridgeAddress returns the address at which pods of the test cluster reach the machine that runs the tests.
func bridgeAddress(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(clustertest.Getenv(t, "BRANE_REDIS_POD_URL"))
	acctest.NoError(t, err)
	return u.Hostname()
}

// withRedis returns the configuration with a redis block in its provider block.
func withRedis(config, redis string) string {
	return strings.Replace(config, "provider \"brane\" {", "provider \"brane\" {\n  redis = {\n"+redis+"\n  }\n", 1)
}

// authenticatesAs finds the user names in what clients send to authenticate.
var authenticatesAs = regexp.MustCompile(`(?i)\r\nauth\r\n\$\d+\r\n([\w.-]+)\r\n\$`)

// newPodRedis starts a Redis that pods reach through a proxy, whose record of what they send is returned.
func newPodRedis(t *testing.T, args ...string) (server *redistest.Server, podURL string, sent *heldrun.Transcript) {
	t.Helper()
	server, sent = redistest.Start(t, append([]string{"--appendonly", "yes", "--requirepass", "s3cret"}, args...)...), &heldrun.Transcript{}
	proxy := redistest.StartProxy(t, bridgeAddress(t), server, func(data []byte) { _, _ = sent.Write(data) })
	return server, strings.Replace(server.URL(), server.Addr(), proxy.Addr(), 1), sent
}

// Pods connect to Redis as a user of the run if the attribute and the server allow it. The user is removed when the run has ended.
func TestAccRedis_aclUsers(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	without := []string{"--rename-command", "ACL", ""} // as managed services
	for name, tt := range map[string]struct {
		users  string
		server []string
		own    bool
		fails  string
	}{
		"auto":                               {users: "auto", own: true},
		"auto, and the server has no ACL":    {users: "auto", server: without},
		"require":                            {users: "require", own: true},
		"require, and the server has no ACL": {users: "require", server: without, fails: "redis cannot create users for runs"},
		"off":                                {users: "off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, podURL, sent := newPodRedis(t, tt.server...)
			config := withRedis(s.RunConfig(t, "acl-"+clustertest.Name("u"), `steps = { only = { image = "$TOOLS", command = ["true"] } }`),
				fmt.Sprintf("    url = %q\n    pod_url = %q\n    acl_users = %q", server.URL(), podURL, tt.users))
			if tt.fails != "" {
				acctest.ExpectError(t, resource.TestStep{Config: config}, []string{tt.fails})
				return
			}
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				Steps: []resource.TestStep{{Config: config, Check: func(state *terraform.State) error {
					want := "default"
					if tt.own {
						want = files.UserName(state.RootModule().Resources[acctest.RunAddress].Primary.ID, 0)
					}
					found := authenticatesAs.FindAllStringSubmatch(sent.String(), -1)
					for _, as := range found {
						if as[1] != want {
							return fmt.Errorf("a pod has connected as %q, want %s", as[1], want)
						}
					}
					if len(found) == 0 {
						return errors.New("no pod has connected")
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

// The run's user is removed while its step runs, and created again: the step's outputs are stored all the same.
func TestAccRedis_aclUserRemoved(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	server, podURL, _ := newPodRedis(t)
	steps := heldrun.NewStepServer(t, clustertest.Getenv(t, "BRANE_BRIDGE_IP"))
	removed := make(chan error, 1)
	go func() {
		select {
		case <-steps.Arrived:
			removed <- removeRunUser(t.Context(), server.Client())
		case <-t.Context().Done():
			removed <- context.Cause(t.Context())
		}
		steps.Release()
	}()
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config: withRedis(s.RunConfig(t, "removed", fmt.Sprintf(`steps = { wait = { image = "$TOOLS", command = ["sh", "-ec", "wget -q -O /dev/null %s/wait; echo done >/data/out"] } }
  outputs = { out = { path = "out" } }`, steps.URL)), fmt.Sprintf("    url = %q\n    pod_url = %q\n    acl_users = \"require\"", server.URL(), podURL)),
			ConfigStateChecks: []statecheck.StateCheck{acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"out": acctest.ExpectOutput("out", "done\n")}))},
			Check:             func(*terraform.State) error { return <-removed },
		}},
	})
}

// removeRunUser removes the only user beside the default one.
func removeRunUser(ctx context.Context, admin *redis.Client) error {
	users, err := admin.ACLUsers(ctx).Result()
	if err != nil {
		return err
	}
	users = slices.DeleteFunc(users, func(user string) bool { return user == "default" })
	if len(users) != 1 || !strings.HasPrefix(users[0], "brane-removed-") {
		return fmt.Errorf("while the step runs there are the users %q", users)
	}
	return admin.ACLDelUser(ctx, users[0]).Err()
}

// Pods reach a Redis that wants TLS and a client's certificate, by the same certificates as the provider.
func TestAccRedis_tlsInPods(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	server := redistest.StartTLS(t, "--appendonly", "yes", "--requirepass", "s3cret", "--bind", "127.0.0.1", bridgeAddress(t), "--tls-auth-clients", "yes")
	const heredoc = "    %s = <<EOT\n%sEOT\n"
	redis := fmt.Sprintf("    url = %q\n    pod_url = %q\n", server.URL(), strings.Replace(server.URL(), "127.0.0.1", bridgeAddress(t), 1)) +
		fmt.Sprintf(heredoc, "ca_certificate", server.CA) + fmt.Sprintf(heredoc, "client_certificate", server.Cert) + fmt.Sprintf(heredoc, "client_key", server.Key)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{{
			Config: withRedis(s.RunConfig(t, "tls", `inputs = { a = { content = "alice" } }
  steps   = { copy = { image = "$TOOLS", command = ["cp", "/data/a", "/data/b"] } }
  outputs = { b = { path = "b" } }`), redis),
			ConfigStateChecks: []statecheck.StateCheck{acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"b": acctest.ExpectOutput("b", "alice")}))},
		}},
		CheckDestroy: func(*terraform.State) error {
			if n := server.Client().DBSize(context.Background()).Val(); n != 0 {
				return fmt.Errorf("%d keys are left", n)
			}
			return nil
		},
	})
}
