package provider_test

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// pipeline is one of those in the guide on CI: scripts, by what starts them.
type pipeline struct {
	shell       string
	prepare     string            // of each job
	review      string            // of a change
	merge       string            // of a change that is merged
	drift       string            // of the schedule; it shows drift
	driftExit   int               // the exit code of drift, with which the pipeline goes on
	driftShows  string            // what drift prints if something has changed
	repair      string            // of the schedule, after drift
	environment map[string]string // what the pipeline sets
}

// Both pipelines of the guide on CI do what it says, with the permissions that it creates: a review shows the plan, a merge applies it and has the report, the
// schedule finds drift and repairs it. Each job starts with the files of the repository only.
func TestAccPipelines(t *testing.T) {
	t.Parallel()
	pipelines := map[string]pipeline{"github": readWorkflow(t), "gitlab": readGitLabPipeline(t)}
	for name, p := range pipelines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReader(t)
			configuration := r.cli.Directory
			acctest.NoError(t, os.Remove(filepath.Join(configuration, "test_override.tf"))) // the pipeline connects by its variables
			r.copyConfiguration(t, "examples/guides/permissions")
			r.copyConfiguration(t, filepath.Join(guideExamples, ciGuide))
			r.run(t, ciGuide, "kubectl apply -f clusterrole.yaml")
			r.prepareRunner(t)

			kubeconfig := filepath.Join(configuration, "runner.kubeconfig")
			text, err := os.ReadFile(kubeconfig)
			acctest.NoError(t, err)
			r.cli.Env = append(withoutConnections(r.cli.Env), "KUBE_CONFIG_PATH="+kubeconfig, "KUBE_CONFIG="+string(text), "BRANE_REDIS_URL="+r.set.Getenv(t, "BRANE_REDIS_POD_URL"))
			r.cli.Run(t, "init", "-input=false") // for the destroy at the end

			job := func(script string, exit int) (directory, out string) {
				directory = t.TempDir()
				acctest.CopyRepositoryFiles(t, path.Join(guideExamples, ciGuide), directory)
				adapted, err := os.ReadFile(filepath.Join(configuration, "ci_main.tf"))
				acctest.NoError(t, err)
				acctest.NoError(t, os.WriteFile(filepath.Join(directory, "main.tf"), adapted, 0o600))
				cmd := exec.CommandContext(t.Context(), p.shell, "-e", "-c", script)
				cmd.Dir, cmd.Env = directory, r.cli.Env
				for name, value := range p.environment {
					cmd.Env = append(cmd.Env, name+"="+value)
				}
				printed, err := cmd.CombinedOutput()
				if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != exit {
					t.Fatalf("%s: %v, want exit code %d\n%s", script, err, exit, printed)
				}
				return directory, string(printed)
			}
			if _, out := job(p.review, 0); !strings.Contains(out, "3 to add") {
				t.Errorf("the review does not show the plan:\n%s", out)
			}
			directory, _ := job(p.merge, 0)
			if _, err := os.Stat(filepath.Join(directory, "reports/report.html")); err != nil {
				t.Errorf("a merge leaves no report: %v", err)
			}
			r.run(t, ciGuide, "kubectl -n brane-compute delete rolebinding brane")
			if _, out := job(p.drift, p.driftExit); !strings.Contains(out, p.driftShows) {
				t.Errorf("the schedule does not show %q:\n%s", p.driftShows, out)
			}
			job(p.repair, 0)
			job(p.prepare+"terraform plan -input=false -detailed-exitcode", 0)
		})
	}
}

// prepareRunner runs the commands of the guide, which write a kubeconfig.
func (r *reader) prepareRunner(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, guides, ciGuide+".md"))
	acctest.NoError(t, err)
	var commands []string
	for _, b := range readBlocks(ciGuide, text) {
		commands = append(commands, shellCommands(b)...)
	}
	r.run(t, ciGuide, strings.Join(commands, "\n"))
}

// withoutConnections removes the variables of the test cluster that the guide does not set.
func withoutConnections(environment []string) []string {
	return slices.DeleteFunc(slices.Clone(environment), func(variable string) bool {
		return slices.ContainsFunc([]string{"KUBE_", "BRANE_REDIS_"}, func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	})
}

// decodeStrictly decodes a YAML file whose keys must all be known.
func decodeStrictly(t *testing.T, text []byte, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	acctest.NoError(t, decoder.Decode(into))
}

// readWorkflow reads the workflow for GitHub, which actionlint checks as well.
func readWorkflow(t *testing.T) pipeline {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, guideExamples, ciGuide, "workflow.yml"))
	acctest.NoError(t, err)
	type step struct{ If, Run string }
	var workflow struct {
		Env  map[string]string
		Jobs map[string]struct{ Steps []step }
	}
	acctest.NoError(t, yaml.Unmarshal(text, &workflow))
	script := func(job string, matches func(step) bool) (script string) {
		for _, s := range workflow.Jobs[job].Steps {
			if s.Run != "" && matches(s) {
				script += s.Run + "\n"
			}
		}
		return script
	}
	isScheduled := func(s step) bool { return s.If == "github.event_name == 'schedule'" }
	always := func(s step) bool { return !isScheduled(s) }
	// The check for drift is a step of the job that applies, after two that prepare it.
	prepare := strings.Join(strings.SplitAfter(script("apply", always), "\n")[:2], "")
	p := pipeline{shell: "bash", prepare: prepare, review: script("plan", always), merge: script("apply", always), drift: prepare + script("apply", isScheduled), driftShows: "::warning::", repair: script("apply", always), environment: map[string]string{}}
	for name, value := range workflow.Env {
		if !strings.Contains(value, "${{") {
			p.environment[name] = value
		}
	}
	return p
}

// readGitLabPipeline reads the pipeline for GitLab. Its keys are those that GitLab documents.
func readGitLabPipeline(t *testing.T) pipeline {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, guideExamples, ciGuide, "gitlab-ci.yml"))
	acctest.NoError(t, err)
	type job struct {
		Stage, Timeout string
		Script         []string
		Rules          []struct{ If string }
		ResourceGroup  string `yaml:"resource_group"`
		Interruptible  bool
		AllowFailure   struct {
			ExitCodes int `yaml:"exit_codes"`
		} `yaml:"allow_failure"`
		Artifacts struct {
			When  string
			Paths []string
		}
	}
	var file struct {
		Image struct {
			Name       string
			Entrypoint []string
		}
		Variables map[string]string
		Stages    []string
		Default   struct {
			BeforeScript []string `yaml:"before_script"`
		}
		Plan, Drift, Apply job
	}
	decodeStrictly(t, text, &file)
	script := func(j job) string {
		if !slices.Contains(file.Stages, j.Stage) || len(j.Rules) == 0 {
			t.Errorf("a job has no stage of %q, or no rules", file.Stages)
		}
		return strings.Join(append(slices.Clone(file.Default.BeforeScript), j.Script...), "\n")
	}
	if !slices.Contains(file.Apply.Artifacts.Paths, "reports/") || file.Apply.Artifacts.When != "always" {
		t.Errorf("the report is no artifact: %+v", file.Apply.Artifacts)
	}
	return pipeline{
		shell: "sh", prepare: strings.Join(file.Default.BeforeScript, "\n") + "\n", review: script(file.Plan), merge: script(file.Apply), drift: script(file.Drift), driftExit: file.Drift.AllowFailure.ExitCodes,
		driftShows: `RoleBinding \"brane\" is missing`, repair: script(file.Apply), environment: file.Variables,
	}
}
