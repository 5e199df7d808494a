package workflowrun_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// All that a careful cluster asks of a pod at once: a user that is not root, a root that is only read, no capability, seccomp, and no credential anywhere; and an
// image with nothing in it but the program.
func TestAccWorkflowRun_hardened(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]struct{ attributes, beside string }{
		"hardened":        {`agent_injection = "init_container"`, "brane-agent"},
		"hardened-volume": {`agent_injection = "image_volume"`, "image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(way.attributes, "image_volume") {
				clustertest.RequireImageVolumes(t)
			}
			s := acctest.NewEnv(t)
			s.RegisterInfrastructure(t)
			check := strings.NewReplacer("$BESIDE", way.beside).Replace(`
      image   = "$TOOLS"
      command = ["sh", "-ec"]
      args    = [<<EOT
        says() { if [ "$1" != "$2" ]; then echo "$3 is $1, not $2"; exit 1; fi; }
        status() { grep "^$1:" /proc/self/status | cut -f2; }
        says "$(id -u)" $USER user
        says "$(status CapEff) $(status CapBnd) $(status CapInh)" "0000000000000000 0000000000000000 0000000000000000" capabilities
        says "$(status NoNewPrivs) $(status Seccomp)" "1 2" "no new privileges and seccomp"
        if touch /nope /brane/image/nope 2>/dev/null; then echo "the root can be written to"; exit 1; fi
        if grep brane-secret /proc/mounts; then echo "the Secret is mounted"; exit 1; fi
        if ls /brane-secret 2>/dev/null; then echo "the Secret's folder is there"; exit 1; fi
        says "$(ls /brane)" $BESIDE "what is beside the agent"
        says "$(ls -A /data)" "$BEFORE" "what is there before"
        if env | grep -e redis:// -e BRANE_STEP -e BRANE_ACCESS; then echo "the credential is in the environment"; exit 1; fi
        for f in environ mem maps task/$PPID/environ auxv; do if cat "/proc/$PPID/$f" 2>/dev/null | grep -q .; then echo "the agent's $f can be read"; exit 1; fi; done
        for f in /proc/$PPID/fd/* /proc/$PPID/cwd /proc/$PPID/root; do if readlink $f; then echo "$f can be seen"; exit 1; fi; done
        if grep -rs -e redis:// /dev/termination-log /etc /run /tmp /var /data; then echo "the credential is in a file"; exit 1; fi
        echo hello >/data/out
EOT
      ]`)
			config := s.RunConfig(t, name, way.attributes+`
  defaults = {
    security_context = { run_as_user = 65532, read_only_root_filesystem = true }
  }
  steps = {
    shell = {`+strings.NewReplacer("$USER", "65532", "$BEFORE", "").Replace(check)+`
    }
    root = {
      security_context = { run_as_user = 0 }
      needs            = ["shell"]`+strings.NewReplacer("$USER", "0", "$BEFORE", "out").Replace(check)+`
    }
    scratch = { image = "`+clustertest.Getenv(t, "BRANE_AGENT_IMAGE")+`", command = ["/brane-agent", "version"], needs = ["shell"] }
  }
  outputs = { out = { path = "out" } }`)
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				Steps: []resource.TestStep{{
					Config: config,
					ConfigStateChecks: []statecheck.StateCheck{
						acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
						acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"out": acctest.ExpectOutput("out", "hello\n")})),
					},
				}},
			})
		})
	}
}
