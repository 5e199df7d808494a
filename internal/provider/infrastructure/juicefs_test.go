package infrastructure_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The passwords of the URLs, before and after a change in infra.yml.
const (
	urlPassword   = "s3cret-Wc90"
	otherPassword = "n3wer-Wc91"
)

// withoutPasswords checks that the output of a command has no password, and returns it without line breaks.
func withoutPasswords(t *testing.T, command, out string) string {
	t.Helper()
	if strings.Contains(out, urlPassword) || strings.Contains(out, otherPassword) {
		t.Errorf("%s prints a password:\n%s", command, out)
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(out, "│", "")), " ")
}

// TestAccInfrastructure_invalidURLs plans with URLs in the forms that JuiceFS accepts: the error suggests what to write instead.
func TestAccInfrastructure_invalidURLs(t *testing.T) {
	t.Parallel()
	cli := acctest.NewCLI(t)
	cli.WriteFile(t, "main.tf", acctest.RequiredProviders+`
variable "redis" {
  default = "redis://127.0.0.1"
}

variable "mount_dfs" {
  default = "redis://198.51.100.10"
}

provider "brane" {
  redis         = { url = var.redis }
  control_plane = { directory = "." }
}

resource "brane_infrastructure" "test" {
  name        = "compute"
  namespace   = "ns"
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  mount_dfs   = var.mount_dfs
}
`)
	cli.Run(t, "init", "-no-color")
	for _, tt := range []struct{ variable, url, say string }{
		{"redis", "redis://:%s@mymaster,127.0.0.1,127.0.0.1:26379/1", "redis+sentinel://"},
		{"redis", "redis://:%s@127.0.0.1:26379,127.0.0.1:26380/1", "redis+sentinel://"},
		{"redis", "rediss://:%s@127.0.0.1:6379/1?tls-ca-cert-file=/etc/ca.pem", "ca_certificate"},
		{"redis", "redis://:%s@127.0.0.1:6379/1?insecure-skip-verify=true", "the certificate of the server is always verified"},
		{"mount_dfs", "redis://:%s@mymaster,198.51.100.10,198.51.100.11:26379/1", "as JuiceFS writes a Sentinel group"},
		{"mount_dfs", "redis://:%s#@198.51.100.10/1", "# as %23"},
		{"mount_dfs", "rediss://:%s@198.51.100.10/1", "a connection with TLS (rediss://) is not supported"},
	} {
		cmd, out := cli.Command(t.Context(), "plan", "-no-color", "-var", tt.variable+"="+fmt.Sprintf(tt.url, urlPassword))
		if err := cmd.Run(); err == nil {
			t.Errorf("%s is valid as %s", tt.url, tt.variable)
		}
		if said := withoutPasswords(t, "plan", out.String()); !strings.Contains(said, tt.say) {
			t.Errorf("for %s it does not say %q but\n%s", tt.url, tt.say, said)
		}
	}
}

// TestAccInfrastructure_passwordInMountDFS registers a URL with a password. It is in infra.yml, where Brane needs it, but no command prints it, also not when it was
// changed there.
func TestAccInfrastructure_passwordInMountDFS(t *testing.T) {
	t.Parallel()
	i, cli := newInstance(t), acctest.NewCLI(t)
	cli.WriteFile(t, "main.tf", acctest.RequiredProviders+i.hcl(t, strings.Replace(smallestInfrastructure, "  credentials", fmt.Sprintf("  mount_dfs   = \"redis://:%s@198.51.100.10:6379/1\"\n  credentials", urlPassword), 1)))
	cli.Run(t, "init", "-no-color")
	cli.DestroyAtEnd(t)
	withoutPasswords(t, "apply", cli.Run(t, "apply", "-auto-approve", "-no-color"))
	i.editInfra(t, urlPassword, otherPassword)
	if plan := withoutPasswords(t, "plan", cli.Run(t, "plan", "-no-color")); !strings.Contains(plan, "mount_dfs") {
		t.Errorf("the plan does not show that mount_dfs was changed:\n%s", plan)
	}
	withoutPasswords(t, "apply", cli.Run(t, "apply", "-auto-approve", "-no-color"))
	if text, err := os.ReadFile(i.ControlPlaneFile("infra.yml")); err != nil || !strings.Contains(string(text), urlPassword) {
		t.Errorf("it is not repaired: %v\n%s", err, text)
	}
}
