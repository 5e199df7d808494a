package workflowrun_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

const twoSteps = `
  steps = {
    one = { image = "$TOOLS", command = ["sh", "-c", "echo '<b>said</b>' in $WORD; echo 1 > /data/first"] }
    two = { image = "$TOOLS", command = ["sh", "-c", "cat /data/first > /data/second"], needs = ["one"] }
  }
  outputs = { second = { path = "second" } }
  secret_env_wo = { one = { WORD = "abracadabra" } }
  secret_env_wo_version = 1
`

// pageSays checks what a report tells. What stands in its tags is of no interest here.
func pageSays(file string, want, not []string) resource.TestCheckFunc {
	return func(*terraform.State) error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, sentence := range want {
			if !strings.Contains(string(text), sentence) {
				return fmt.Errorf("the report does not say %q:\n%s", sentence, text)
			}
		}
		for _, sentence := range not {
			if strings.Contains(string(text), sentence) {
				return fmt.Errorf("the report says %q:\n%s", sentence, text)
			}
		}
		return nil
	}
}

// The report is written with the run. Its loss is no drift; another path has it written there from what Redis knows, without another run.
func TestAccWorkflowRun_report(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	first, second := filepath.Join(s.Directory, "reports", "run.html"), filepath.Join(s.Directory, "elsewhere.html")
	with := func(file string) string {
		return s.RunConfig(t, "told", twoSteps+fmt.Sprintf("report_path = %q", file))
	}
	whole := []string{"told <span class=\"status succeeded\">", "2 steps in", "&lt;b&gt;said&lt;/b&gt; in (secret)", "<code>first</code>", "<code>second</code>", `id="step-1"`, "Exit code</dt><dd>0"}
	var uid string
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: with(first), Check: resource.ComposeTestCheckFunc(pageSays(first, whole, []string{"abracadabra", "redis://"}), func(*terraform.State) error {
				uids, err := s.JobUIDs(t.Context())
				uid = uids["one"]
				return err
			})},
			{
				PreConfig: func() { acctest.NoError(t, os.Remove(first)) }, Config: with(first), ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: acctest.NoChange},
			},
			{
				Config:           with(second),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(acctest.RunAddress, plancheck.ResourceActionUpdate)}},
				Check: resource.ComposeTestCheckFunc(pageSays(second, whole, []string{"abracadabra"}), func(*terraform.State) error {
					uids, err := s.JobUIDs(t.Context())
					if err == nil && uids["one"] != uid {
						err = fmt.Errorf("the step ran again")
					}
					return err
				}),
			},
		},
	})
}

func TestAccWorkflowRun_reportOfAFailure(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	file := s.ControlPlaneFile("failed.html")
	acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, "told", `
	  steps = {
	    good = { image = "$TOOLS", command = ["sh", "-c", "echo 1 > /data/first"] }
	    bad  = { image = "$TOOLS", command = ["sh", "-c", "test $BRANE_INDEX != 1 && exit; echo 'no such luck'; exit 7"], needs = ["good"], items = ["Ada", "Grace"], max_failed_indexes = 1 }
	    then = { image = "$TOOLS", command = ["true"], needs = ["bad"] }
	  }
	  report_path = "`+file+`"`)}, []string{"failed with exit code 7"})
	acctest.NoError(t, pageSays(file, []string{
		"1 of 3 steps succeeded, 1 failed, 1 skipped", "What went wrong", "the command failed with exit code 7", "no such luck", "<code>first</code>", `class="step failed"`, `<span class="name">0 Ada</span><span class="took"><span class="hidden">succeeded in`, `<span class="name">1 Grace</span><span class="took">failed`, `<dt>Attempts</dt><dd>1</dd>`, `class="step skipped"`,
	}, nil)(nil))
}

// What would keep the report from being written is found while planning, as far as it can be; what is found later is a warning, since the run is done.
func TestAccWorkflowRun_reportNotPossible(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	acctest.NoError(t, os.WriteFile(s.ControlPlaneFile("file"), nil, 0o600))
	for file, want := range map[string]string{
		s.Directory: `it is a directory; set the path of a file`,
		s.ControlPlaneFile("file") + "/report.html": `file is not a directory`,
	} {
		resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.ProviderFactories, Steps: []resource.TestStep{
			{Config: s.RunConfig(t, "told", twoSteps+fmt.Sprintf("report_path = %q", file)), PlanOnly: true, ExpectError: regexp.MustCompile(strings.ReplaceAll(want, " ", `\s+`))},
		}})
	}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.ProviderFactories, Steps: []resource.TestStep{{
		Config: s.RunConfig(t, "told", twoSteps+`report_path = "/proc/report.html"`),
		Check:  resource.TestCheckResourceAttr(acctest.RunAddress, "status", "succeeded"),
	}}})
}
