package provider_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

const repository = "../.."

// printed is a command that a document or the quickstart prints.
type printed struct{ document, command string }

// notRun lists the commands that no test can run as they are printed, with the reason and what is checked instead.
// All other commands are run after an apply of the quickstart.
var notRun = []struct {
	commands, reason string
	check            func(t *testing.T, command string)
}{
	{`make( .*)?`, "starts or stops a cluster, or runs this test", checkMake},
	{`([A-Z_]+=\S+ )?go (-C \S+ )?test .*`, "runs tests inside a test", checkGoTest},
	{`\.ci/run`, "runs all tests", func(t *testing.T, _ string) { runIn(t, repository, nil, "bash -n .ci/run") }},
	{`terraform import .*`, "needs an object that is in no state; the tests of imports use the same forms of ID", checkImport},
	{`(claim=|pid=|nsenter ).*`, "needs the first cluster of the machine and its container runtime", func(*testing.T, string) {}},
}

// Every command that the quickstart and the documents print works.
func TestAccDocumentedCommands(t *testing.T) {
	t.Parallel()
	clustertest.RequireOwn(t) // the commands read its environment file
	documents := documentedCommands(t)
	if len(documents) < 20 {
		t.Fatalf("only %d commands were found in the documents", len(documents))
	}
	q := newQuickstart(t)
	fromQuickstart := q.up(t)
	if len(fromQuickstart) < 7 {
		t.Fatalf("the quickstart prints only the commands %q", fromQuickstart)
	}
	matched := make([]bool, len(notRun))
	for _, p := range append(fromQuickstart, documents...) {
		i := slices.IndexFunc(notRun, func(rule struct {
			commands, reason string
			check            func(*testing.T, string)
		}) bool {
			return regexp.MustCompile("^(" + rule.commands + ")$").MatchString(p.command)
		})
		t.Run(p.document+": "+p.command, func(t *testing.T) {
			if i >= 0 {
				matched[i] = true
				notRun[i].check(t, p.command)
				return
			}
			q.run(t, p)
		})
	}
	for i, rule := range notRun {
		if !matched[i] {
			t.Errorf("no document prints a command like %q any more", rule.commands)
		}
	}
	q.down(t)
}

// quickstart is a copy of the files that tools/quickstart works on.
type quickstart struct {
	root string
	cli  *acctest.CLI
	set  acctest.Env
}

func newQuickstart(t *testing.T) quickstart {
	t.Helper()
	q := quickstart{t.TempDir(), acctest.NewCLI(t), acctest.NewEnv(t)}
	for _, directory := range []string{"tools", ".cluster", "bin", "examples/quickstart"} {
		acctest.NoError(t, os.MkdirAll(filepath.Join(q.root, directory), 0o755))
	}
	copyExample(t, q.set, filepath.Join(repository, "examples/quickstart"), filepath.Join(q.root, "examples/quickstart"))
	script, err := os.ReadFile(filepath.Join(repository, "tools/quickstart"))
	acctest.NoError(t, err)
	acctest.NoError(t, os.WriteFile(filepath.Join(q.root, "tools/quickstart"), script, 0o700))
	settings := q.variable(t, "TF_CLI_CONFIG_FILE")
	acctest.NoError(t, os.Mkdir(filepath.Join(q.root, ".bin"), 0o755))
	acctest.NoError(t, os.Symlink(q.cli.Mirror, filepath.Join(q.root, ".bin/mirror")))
	// The environment file of the cluster names the provider that make has built, not the one of this test.
	env, err := os.ReadFile(filepath.Join(clustertest.Getenv(t, "BRANE_TEST_CLUSTER"), "env"))
	acctest.NoError(t, err)
	env = regexp.MustCompile(`(?m)^export TF_CLI_CONFIG_FILE=.*$`).ReplaceAll(env, []byte("export TF_CLI_CONFIG_FILE="+settings))
	acctest.NoError(t, os.WriteFile(filepath.Join(q.root, ".cluster/env"), env, 0o600))
	// The documents call the CLI terraform.
	acctest.NoError(t, os.Symlink(q.cli.Program, filepath.Join(q.root, "bin/terraform")))
	acctest.NoError(t, os.Symlink(q.cli.Program, filepath.Join(q.root, "bin/tofu")))
	t.Cleanup(func() { _ = q.script("down").Run() }) // nothing is applied any more, unless the test has failed
	return q
}

func (q quickstart) variable(t *testing.T, name string) string {
	t.Helper()
	for _, variable := range slices.Backward(q.cli.Env) {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}
	t.Fatalf("the CLI's environment has no %s", name)
	return ""
}

func (q quickstart) script(verb string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(q.root, "tools/quickstart"), verb)
	cmd.Env = append(q.cli.Env, "CLI="+q.cli.Program, "CLUSTER_DIR="+filepath.Join(q.root, ".cluster"))
	return cmd
}

// up applies the quickstart and returns the commands that it prints.
func (q quickstart) up(t *testing.T) (commands []printed) {
	t.Helper()
	out, err := q.script("up").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, text, found := strings.Cut(string(out), "The book has 100801 words")
	if !found {
		t.Fatalf("the quickstart does not print the number of words:\n%s", out)
	}
	if lines := strings.Count(string(out), "(write-only attribute)"); lines > 1 { // the CLI prints one for each write-only attribute, also if it is not set
		t.Errorf("the plan of the quickstart has %d lines about write-only attributes:\n%s", lines, out)
	}
	for line := range strings.Lines(text) {
		if command, isCommand := strings.CutPrefix(line, "    "); isCommand {
			commands = append(commands, printed{"quickstart", strings.TrimSpace(command)})
		}
	}
	return commands
}

// down destroys the quickstart, also after a document's own terraform destroy.
func (q quickstart) down(t *testing.T) {
	t.Helper()
	if out, err := q.script("down").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// run runs a command as its document prints it. A command that reads from the cluster or from Redis has to find something.
func (q quickstart) run(t *testing.T, p printed) {
	t.Helper()
	directory := q.root
	switch {
	case p.document == "examples/quickstart/README.md":
		directory = filepath.Join(q.root, "examples/quickstart")
	case strings.HasPrefix(p.command, "go "):
		directory = repository
	}
	env := append(q.cli.Env, "PATH="+filepath.Join(q.root, "bin")+":"+os.Getenv("PATH"))
	out := runIn(t, directory, env, ". "+filepath.Join(q.root, ".cluster/env")+"\n"+p.command)
	if strings.HasPrefix(p.command, "kubectl ") || strings.HasPrefix(p.command, "redis-cli ") {
		if strings.TrimSpace(out) == "" || strings.Contains(out, "No resources found") {
			t.Errorf("it finds nothing: %s", out)
		}
	}
}

// runIn runs a command of a shell, which has to succeed, and returns what it prints. It answers yes to the CLI's questions.
func runIn(t *testing.T, directory string, env []string, command string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", command)
	cmd.Dir, cmd.Env, cmd.Stdin = directory, env, strings.NewReader("yes\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

// documentedCommands returns the commands in the shell blocks of all documents but the guides, which [TestAccGuides] follows, without their comments.
func documentedCommands(t *testing.T) (commands []printed) {
	t.Helper()
	for _, b := range readDocuments(t) {
		if !strings.HasPrefix(b.document, guides+"/") {
			for _, command := range shellCommands(b) {
				commands = append(commands, printed{b.document, command})
			}
		}
	}
	return commands
}

// shellCommands returns the commands of a shell block, one for each line. Other blocks have none.
func shellCommands(b block) (commands []string) {
	if !slices.Contains([]string{"sh", "shell", "bash"}, b.language) {
		return nil
	}
	for line := range strings.Lines(b.text) {
		if command := strings.TrimSpace(comment.ReplaceAllString(strings.TrimSpace(line), "")); command != "" {
			commands = append(commands, command)
		}
	}
	return commands
}

func TestShellCommands(t *testing.T) {
	var got []string
	for _, b := range readBlocks("a.md", []byte("```sh\nmake a   # why\n# all of it\n. b/env\n```\n```\nnot this\n```\n```shell\nkubectl get 'x#y'\n```\n")) {
		got = append(got, shellCommands(b)...)
	}
	if want := `["make a" ". b/env" "kubectl get 'x#y'"]`; fmt.Sprintf("%q", got) != want {
		t.Errorf("got  %q\nwant %s", got, want)
	}
}

// checkMake checks that the Makefile has the target and reads the variables.
func checkMake(t *testing.T, command string) {
	t.Helper()
	makefile, err := os.ReadFile(filepath.Join(repository, "Makefile"))
	acctest.NoError(t, err)
	for _, word := range strings.Fields(command)[1:] {
		pattern := `(?m)^` + regexp.QuoteMeta(word) + `:`
		if name, _, isVariable := strings.Cut(word, "="); isVariable {
			pattern = `\$\(` + name + `\)|\$\((or|if) \$\(` + name + `\)`
		}
		if !regexp.MustCompile(pattern).Match(makefile) {
			t.Errorf("the Makefile has no %s", word)
		}
	}
	for target, script := range map[string]string{"make quickstart": "tools/quickstart up", "make quickstart-down": "tools/quickstart down"} {
		if command == target && !bytes.Contains(makefile, []byte(script)) {
			t.Errorf("%s does not run %s, which this test runs", target, script)
		}
	}
}

// checkGoTest checks that the packages exist, and tests that -run selects.
func checkGoTest(t *testing.T, command string) {
	t.Helper()
	module, pattern, tests := repository, regexp.MustCompile(""), []byte{}
	words := strings.Fields(command)
	for i, word := range words {
		switch {
		case word == "-C":
			module = filepath.Join(repository, words[i+1])
		case word == "-run":
			pattern = regexp.MustCompile(strings.Trim(words[i+1], "'"))
		case strings.HasPrefix(word, "./"):
			files, err := filepath.Glob(filepath.Join(module, strings.TrimSuffix(word, "..."), "*_test.go"))
			acctest.NoError(t, err)
			if len(files) == 0 && !strings.HasSuffix(word, "...") {
				t.Errorf("%s has no tests", word)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				acctest.NoError(t, err)
				tests = append(tests, text...)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(module, "go.mod")); err != nil {
		t.Error(err)
	}
	for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(tests, -1) {
		if pattern.Match(found[1]) {
			return
		}
	}
	if pattern.String() != "" {
		t.Errorf("no test matches %s", pattern)
	}
}

// checkImport checks that the resource exists.
func checkImport(t *testing.T, command string) {
	t.Helper()
	kind, _, _ := strings.Cut(strings.Fields(command)[2], ".")
	if _, found := acctest.NewProtocol(t).Schemas.ResourceSchemas[kind]; !found {
		t.Errorf("there is no resource %s", kind)
	}
}
