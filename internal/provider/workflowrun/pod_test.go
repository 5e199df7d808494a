package workflowrun_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// A program finds everything that its step and the defaults say of its pod, and nothing that neither says.
func TestAccWorkflowRun_pod(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	s.RegisterInfrastructure(t)
	meta := metav1.ObjectMeta{Namespace: s.Namespace, Name: "greeting"}
	acctest.NoError(t, s.Client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: meta, Data: map[string]string{"one": "hello\n", "two": "goodbye\n"}}))
	acctest.NoError(t, s.Client.Create(t.Context(), &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"token": "from a secret"}}))
	const secret = "write only $(WORD) $$"
	config := s.Config(t, `
resource "brane_workflow_run" "test" {
  name           = "pod"
  infrastructure = "$NAMESPACE"
  inputs         = { "in/a" = { content = "a" }, "b" = { content = "b" } }
  parallelism = 1
  defaults = {
    image       = "$TOOLS"
    env         = { WORD = "default", OTHER = "default" }
    security_context = { run_as_user = 1234, read_only_root_filesystem = true, fs_group = 4567 }
    resources   = { limits = { memory = "64Mi" } }
    volumes     = { tmp = { mount_path = "/tmp", empty_dir = { medium = "Memory", size_limit = "1Mi" } } }
  }
  steps = {
    check = {
      command = ["sh", "-ec"]
      args    = [<<EOT
        says() { if [ "$1" != "$2" ]; then echo "$3 is $1, not $2"; exit 1; fi; }
        says "$(id -u) $(id -g)" "1234 2345" user
        case " $(id -G) " in *" 3456 "*) ;; *) echo "groups $(id -G)"; exit 1;; esac
        says "$WORD $OTHER" "own default" environment
        says "$TOKEN" "from a secret" TOKEN
        says "$(printf %s "$PASSWORD" | sha256sum | cut -c-8)" e1b6eb2d PASSWORD
        says "$(cat /greeting/one /farewell /token/token)" "$(printf 'hello\ngoodbye\nfrom a secret')" volumes
        says "$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)" 67108864 memory
        says "$(grep CapBnd /proc/self/status | tr -d '[:alpha:][:space:]:')" 0000000000002000 capabilities
        if touch /nope 2>/dev/null; then echo "the root can be written to"; exit 1; fi
        touch /tmp/yes
        test ! -e /var/run/secrets/kubernetes.io/serviceaccount
        says "$(find /data -type f)" /data/in/a files
        touch /data/kept /data/dropped
EOT
      ]
      env             = { WORD = "own" }
      env_from_secret = { TOKEN = { secret = "greeting", key = "token" } }
      reads           = ["in/*"]
      writes          = ["kept"]
      resources       = { requests = { cpu = "10m" } }
      node_selector   = { "kubernetes.io/os" = "linux" }
      tolerations     = [{ operator = "Exists", effect = "NoSchedule" }]
      affinity        = jsonencode({ nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution = { nodeSelectorTerms = [{ matchExpressions = [{ key = "kubernetes.io/hostname", operator = "Exists" }] }] } } })
      service_account_name = "brane"
      security_context = { run_as_group = 2345, supplemental_groups = [3456], capabilities = { add = ["NET_RAW"] }, seccomp_profile = { type = "RuntimeDefault" } }
      volumes = {
        greeting = { mount_path = "/greeting", config_map = "greeting" }
        token    = { mount_path = "/token", secret = "greeting", read_only = true }
        farewell = { mount_path = "/farewell", config_map = "greeting", sub_path = "two", read_only = true }
      }
    }
    left = { command = ["sh", "-c", "find /data -type f | sort > /tmp/list; cp /tmp/list /data/list; test -z $PASSWORD"], needs = ["check"] }
  }
  outputs = { list = { path = "list" } }
  secret_env_wo = { check = { PASSWORD = "write only $(WORD) $$" } }
  secret_env_wo_version = 1
}
`)
	var id string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return acctest.CheckNoRedisKeys(context.Background(), store, id) },
		Steps: []resource.TestStep{
			{
				Config: config,
				ConfigStateChecks: []statecheck.StateCheck{
					acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded")),
					acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"list": acctest.ExpectOutput("list", "/data/b\n/data/in/a\n/data/kept\n")})),
				},
				Check: func(state *terraform.State) (err error) {
					if id, err = acctest.RunID(state); err != nil {
						return err
					}
					if text := fmt.Sprint(state.RootModule().Resources[acctest.RunAddress].Primary.Attributes); strings.Contains(text, "write only") {
						return fmt.Errorf("the state holds %q", secret)
					}
					return nil
				},
			},
			{ // quantities in other words and another secret of the same version: the same run
				Config:           strings.NewReplacer(`memory = "64Mi"`, `memory = "65536Ki"`, "write only $(WORD)", "other").Replace(config),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: acctest.NoChange},
			},
			{
				Config: strings.Replace(config, "secret_env_wo_version = 1", "secret_env_wo_version = 2", 1), PlanOnly: true, ExpectNonEmptyPlan: true,
				ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate)}},
			},
			{Config: s.ProviderBlock(), Check: func(*terraform.State) error { return s.CheckNoRunObjects(t.Context()) }},
		},
	})
}
