package infrastructure_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// found returns a file of an instance that exists already, from testdata/existing.
func found(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "existing", name))
	acctest.NoError(t, err)
	return string(text)
}

// inNamespace is a namespace with infrastructures in it: a body of attributes for each name.
func inNamespace(infrastructures map[string]string) string {
	var b strings.Builder
	b.WriteString("resource \"brane_namespace\" \"test\" {\n  name = \"$NAMESPACE\"\n}\n")
	for name, body := range infrastructures {
		fmt.Fprintf(&b, `
resource "brane_infrastructure" %[1]q {
  name        = %[1]q
  namespace   = brane_namespace.test.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.test.service_account.name }
%[2]s
}
`, name, body)
	}
	return b.String()
}

// changedLines returns the lines that only one of two texts has.
func changedLines(before, after string) (removed, added []string) {
	count := map[string]int{}
	for _, line := range strings.Split(before, "\n") {
		count[line]++
	}
	for _, line := range strings.Split(after, "\n") {
		if count[line]--; count[line] < 0 {
			added = append(added, line)
		}
	}
	for _, line := range strings.Split(before, "\n") {
		if count[line] > 0 {
			count[line]--
			removed = append(removed, line)
		}
	}
	return removed, added
}

// withoutLocation returns infra.yml without the lines of a location; the blank line after them stays.
func withoutLocation(text, name string) string {
	return regexp.MustCompile(`(?ms)^  `+name+`:\n.*?\n\n`).ReplaceAllString(text, "\n")
}

// TestAccInfrastructure_testbedFiles adds a location to the files of Brane's testbed, whose kube location was written by hand and never worked, and imports
// that one. Everything else keeps its bytes.
func TestAccInfrastructure_testbedFiles(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	infraBefore, secretsBefore := found(t, "testbed.infra.yml"), found(t, "testbed.secrets.yml")
	i.put(t, "infra.yml", infraBefore)
	i.put(t, "secrets.yml", secretsBefore)
	one := map[string]string{"compute": ""}
	both := map[string]string{"compute": "", "k8s": "  mount_dfs   = \"redis://198.51.100.10\"\n  secret_name = \"K8S_CONFIG_FILE\"\n"}
	const imported = "import {\n  to = brane_infrastructure.k8s\n  id = \"k8s\"\n}\n"
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy: func(*terraform.State) error {
			wantSecrets := strings.Replace(secretsBefore, "K8S_CONFIG_FILE: |\n  \"put the kubeconfig of your kind cluster here\"\n", "", 1)
			return i.holds(t, withoutLocation(infraBefore, "k8s"), wantSecrets)(nil)
		},
		Steps: []resource.TestStep{
			{
				Config: i.hcl(t, inNamespace(one)),
				Check: func(*terraform.State) error {
					removed, added := changedLines(infraBefore, i.get(t, "infra.yml"))
					if len(removed) > 0 || len(added) == 0 || added[0] != "  compute:" {
						return fmt.Errorf("infra.yml: removed %q, added %q", removed, added)
					}
					removed, added = changedLines(secretsBefore, i.get(t, "secrets.yml"))
					if len(removed) > 0 || len(added) != 1 || !strings.HasPrefix(added[0], "compute: ") {
						return fmt.Errorf("secrets.yml: removed %q, added %q", removed, added)
					}
					return nil
				},
			},
			{Config: i.hcl(t, inNamespace(both)), ExpectError: regexp.MustCompile(`Location already exists[\s\S]*id = "k8s"`)},
			{
				Config: i.hcl(t, inNamespace(both)+imported),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction("brane_infrastructure.k8s", plancheck.ResourceActionUpdate),
				}},
				Check: func(*terraform.State) error {
					now := i.get(t, "infra.yml")
					if want := withoutLocation(infraBefore, "k8s"); !strings.HasPrefix(withoutLocation(now, "k8s"), want) {
						return fmt.Errorf("other locations have changed:\n%s", now)
					}
					return nil
				},
			},
			{Config: i.hcl(t, inNamespace(both)+imported), ConfigPlanChecks: emptyPlan()},
		},
	})
}

// TestAccInfrastructure_template imports the location of Brane's commented template, which was never filled in. Each comment stays above its key.
func TestAccInfrastructure_template(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	before := found(t, "template.infra.yml")
	i.put(t, "infra.yml", before)
	config := func(mount string) string {
		return i.hcl(t, inNamespace(map[string]string{"kube": "  mount_dfs   = " + mount + "\n  secret_name = \"k8s-config\"\n"})+
			"import {\n  to = brane_infrastructure.kube\n  id = \"kube\"\n}\n")
	}
	keeps := func(fewer int) resource.TestCheckFunc {
		return func(*terraform.State) error {
			now := i.get(t, "infra.yml")
			removed, added := changedLines(before, now)
			if len(removed) != 5 || len(added) != 5-fewer || strings.Count(now, "#") != strings.Count(before, "#") {
				return fmt.Errorf("removed %q, added %q of\n%s", removed, added, now)
			}
			for _, pair := range []string{"# Where the cluster's API is", "# The namespace for Brane's jobs", "# This names the entry"} {
				if !strings.Contains(now, pair) {
					return fmt.Errorf("the comment %q is gone:\n%s", pair, now)
				}
			}
			return nil
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy: func(*terraform.State) error {
			if now := i.get(t, "infra.yml"); !strings.Contains(now, "locations: {}") {
				return fmt.Errorf("left behind:\n%s", now)
			}
			return nil
		},
		Steps: []resource.TestStep{
			{Config: config(`"redis://198.51.100.10"`), Check: resource.ComposeTestCheckFunc(keeps(0), func(*terraform.State) error {
				info, err := os.Stat(filepath.Join(i.Directory, "secrets.yml"))
				if err == nil && info.Mode().Perm() != 0o600 {
					err = fmt.Errorf("secrets.yml has the mode %s", info.Mode())
				}
				return err
			})},
			{Config: config(`"redis://198.51.100.10"`), ConfigPlanChecks: emptyPlan()},
			{Config: config("null"), Check: keeps(1)},
		},
	})
}

// TestAccInfrastructure_olderFiles refuses to add a location to the files of a Brane before 0.4, which later versions cannot read: nothing is written, and no
// token is issued. With the location corrected, it works.
func TestAccInfrastructure_olderFiles(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	infraBefore, secretsBefore := found(t, "older.infra.yml"), found(t, "older.secrets.yml")
	i.put(t, "infra.yml", infraBefore)
	i.put(t, "secrets.yml", secretsBefore)
	config := i.hcl(t, strings.Replace(inNamespace(map[string]string{"compute": ""}), "service_account.name }", "service_account.name, long_lived = true }", 1))
	corrected := strings.NewReplacer(
		"runtime: Singularity", "runtime: Singularity\n    registry: \"198.51.100.10:5000\"\n    callback_to: \"http://198.51.100.10:50052\"", "mechanism: ssh\n", "mechanism: ssh-password\n").Replace(infraBefore)
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy:             func(*terraform.State) error { return i.holds(t, corrected, secretsBefore)(nil) },
		Steps: []resource.TestStep{
			{Config: config, ExpectError: regexp.MustCompile(`infra\.yml:2:3:\s+missing\s+callback_to\s+in\s+location\s+"node"[\s\S]*Nothing\s+was\s+written`)},
			{
				PreConfig: func() {
					acctest.NoError(t, i.holds(t, infraBefore, secretsBefore)(nil))
					var secrets corev1.SecretList
					acctest.NoError(t, i.Client.List(context.Background(), &secrets, i.Namespace, ""))
					if len(secrets.Items) > 0 {
						t.Errorf("a token was issued: %s", secrets.Items[0].Name)
					}
					i.put(t, "infra.yml", corrected)
				},
				Config: config,
			},
			{Config: config, ConfigPlanChecks: emptyPlan()},
		},
	})
}
