package workflowrun_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// A step that writes more than it may is evicted and fails with the message of the kubelet; its command is not started again.
func TestAccWorkflowRun_evicted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		file, limit string
		want        []string
	}{
		"data":   {"/data/fill", `data_size_limit = "20Mi"`, []string{`Evicted: Usage of EmptyDir volume "data" exceeds the limit "20Mi"`, "Raise data_size_limit of the step, or write less to /data."}},
		"volume": {"/scratch/fill", `volumes = { scratch = { mount_path = "/scratch", empty_dir = { size_limit = "20Mi" } } }`, []string{`Evicted: Usage of EmptyDir volume "scratch" exceeds the limit "20Mi"`, `Raise empty_dir.size_limit of volumes["scratch"], or write less to it.`}},
		"disk":   {"/data/fill", `resources = { limits = { "ephemeral-storage" = "20Mi" } }`, []string{"Evicted: ", "20Mi", `Raise resources.limits["ephemeral-storage"] of the step, or write less`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acctest.NewEnv(t)
			s.RegisterInfrastructure(t)
			const write = `dd if=/dev/zero of=$FILE bs=1048576 count=60; sync; sleep 600`
			config := s.RunConfig(t, "fill-"+name, `
  defaults = { image = "$TOOLS" }
  steps = {
    fill  = { command = ["sh", "-c", "`+strings.ReplaceAll(write, "$FILE", tt.file)+`"]
              `+tt.limit+` }
    after = { command = ["true"], needs = ["fill"] }
  }
  timeouts = { create = "8m" }`)
			acctest.ExpectError(t, resource.TestStep{Config: config}, append(tt.want, `Step "fill" of run "fill-`+name+`" failed`))
			jobs := s.Kubectl(t, "", "-n", s.Namespace, "get", "jobs", "-o", "name")
			if found := regexp.MustCompile(`-fill-`).FindAllString(jobs, -1); len(found) > 1 {
				t.Errorf("the step was run again: %s", jobs)
			}
		})
	}
}
