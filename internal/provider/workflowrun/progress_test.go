package workflowrun_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// With TF_LOG_PROVIDER=INFO the log of the real CLI follows a run, a line a thing.
func TestAccWorkflowRun_log(t *testing.T) {
	t.Parallel()
	s, c := acctest.NewEnv(t), acctest.NewCLI(t)
	s.RegisterInfrastructure(t)
	log := filepath.Join(t.TempDir(), "log")
	c.Env = append(c.Env, "TF_LOG_PROVIDER=INFO", "TF_LOG_PATH="+log)
	c.WriteFile(t, "main.tf", acctest.RequiredProviders+s.RunConfig(t, "followed", twoSteps))
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	c.Run(t, "apply", "-auto-approve", "-no-color")
	text, err := os.ReadFile(log)
	acctest.NoError(t, err)
	var got []string
	for _, line := range regexp.MustCompile(`\[INFO\]\s+provider\.\S+: (.* elapsed\)): .*run=(\S+)`).FindAllStringSubmatch(string(text), -1) {
		got = append(got, figures.ReplaceAllString(strings.ReplaceAll(line[1], line[2], "ID"), "T"))
	}
	want := strings.Join([]string{
		`step "one" started (0 of 2 ended, T elapsed)`,
		`step "one" finished in T (1 of 2 ended, T elapsed)`,
		`step "two" started (1 of 2 ended, T elapsed)`,
		`step "two" finished in T (2 of 2 ended, T elapsed)`,
		`run "ID" succeeded (2 of 2 ended, T elapsed)`,
	}, "\n")
	if strings.Join(got, "\n") != want {
		t.Errorf("the log tells\n%s\nwant\n%s\nin\n%s", strings.Join(got, "\n"), want, text)
	}
	if strings.Contains(string(text), "abracadabra") {
		t.Error("the log holds a secret")
	}
}
