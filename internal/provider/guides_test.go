package provider_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// A guide docs/guides/NAME.md includes its configuration from the directory examples/guides/NAME. A directory with required_providers is a separate
// configuration; the others continue that of the first guide and are applied together with it. A directory with a file .not-applied, with the reason in it, is only
// validated: as a whole if it has required_providers, otherwise each file. A script .prepare.sh prepares the test cluster, for example with devices that it does not
// have.
const (
	guides        = "docs/guides"
	guideExamples = "examples/guides"
	firstGuide    = "getting-started"
	ciGuide       = "ci" // which TestAccPipelines follows
)

// Every configuration in the guides, on the first page and in the README is valid. Configurations that need another provider or a newer CLI are parsed, and the
// names of the provider's attributes in them are checked.
func TestAccDocumentedConfigurations(t *testing.T) {
	t.Parallel()
	c, schemas := acctest.NewCLI(t), acctest.NewProtocol(t).Schemas
	examples := readExamples(t)
	var main strings.Builder
	count := 0
	validate := func(conf configuration, source string) {
		conf.checkNames(t, schemas)
		if conf.isFragment() || conf.needs() != "" {
			return
		}
		required, undeclared := conf.requiredVariables()
		files := maps.Clone(conf.files)
		if !conf.hasRequiredProviders() {
			files["test_required.tf"] = []byte(acctest.RequiredProviders)
		}
		for _, name := range undeclared {
			files["test_"+name+".tf"] = fmt.Appendf(nil, "variable %q {}\n", name)
		}
		for name, text := range files {
			writeFile(t, filepath.Join(c.Directory, source, name), text)
		}
		fmt.Fprintf(&main, "# %s\nmodule \"m%d\" {\n  source = \"./%s\"\n", conf.name, count, source)
		for _, name := range required {
			fmt.Fprintf(&main, "  %s = var.m%d_%s\n", name, count, name)
		}
		main.WriteString("}\n")
		for _, name := range required {
			fmt.Fprintf(&main, "variable \"m%d_%s\" {}\n", count, name)
		}
		count++
	}
	copyModules(t, c.Directory)
	for _, directory := range guideDirectories(t) {
		conf := readDirectory(t, directory)
		switch {
		case conf.hasRequiredProviders():
			acctest.CopyRepositoryFiles(t, directory, filepath.Join(c.Directory, directory))
			validate(conf, directory)
		case !isApplied(directory):
			for _, name := range slices.Sorted(maps.Keys(conf.files)) {
				validate(parseConfiguration(t, path.Join(directory, name), map[string][]byte{"main.tf": conf.files[name]}), path.Join(directory, strings.TrimSuffix(name, ".tf")))
			}
		}
	}
	for i, b := range readDocuments(t) {
		isChecked := strings.HasPrefix(b.document, guides+"/") || b.document == "docs/index.md" || b.document == "README.md" || strings.HasPrefix(b.document, "examples/modules/")
		if isChecked && slices.Contains([]string{"terraform", "hcl"}, b.language) && examples[strings.TrimSpace(b.text)] == "" {
			validate(parseConfiguration(t, b.String(), map[string][]byte{"main.tf": []byte(b.text)}), fmt.Sprintf("blocks/%d", i))
		}
	}
	c.WriteFile(t, "main.tf", main.String())
	c.Run(t, "init", "-no-color")
	if cmd, out := c.Command(t.Context(), "validate", "-no-color"); cmd.Run() != nil {
		t.Errorf("%s\n%s", out, main.String())
	}
}

// Every guide works: its commands are run, in their order, and what it shows as their output is printed. All guides that continue the first one are applied
// together: first what precedes `terraform apply` in each of them, then one apply, then the rest of each.
func TestAccGuides(t *testing.T) {
	t.Parallel()
	documents := map[string][]block{}
	for _, b := range readDocuments(t) {
		if name, isGuide := strings.CutPrefix(b.document, guides+"/"); isGuide {
			documents[strings.TrimSuffix(name, ".md")] = append(documents[strings.TrimSuffix(name, ".md")], b)
		}
	}
	for name := range documents {
		for _, b := range documents[name] {
			if b.notRun != "" && len(shellCommands(b)) > 0 {
				runIn(t, repository, os.Environ(), "sh -n <<'END'\n"+b.text+"END\n")
			}
		}
	}

	first, others := []string{firstGuide}, []string{}
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		directory := path.Join(guideExamples, name)
		switch {
		case name == firstGuide, name == ciGuide:
		case !isApplied(directory) || !readDirectory(t, directory).hasRequiredProviders():
			others = append(others, name)
		default:
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				newReader(t).follow(t, documents, name)
			})
		}
	}
	t.Run(firstGuide, func(t *testing.T) {
		t.Parallel()
		r := newReader(t)
		r.follow(t, documents, first...)
		r.follow(t, documents, others...)
		r.cli.Run(t, "plan", "-detailed-exitcode", "-no-color") // 2 means that there are changes
	})
}

// reader is a user who follows guides with a cluster of the tests.
type reader struct {
	cli     *acctest.CLI
	set     acctest.Env
	root    string // contains the directory of the configuration at the same place as the repository, so that the sources of modules are right
	names   map[string]string
	created []string          // objects outside of namespaces that the commands of guides create, as KIND/NAME
	outputs map[string]string // what the commands of each guide have printed
}

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{cli: acctest.NewCLI(t), set: acctest.NewEnv(t), names: map[string]string{}, outputs: map[string]string{}}
	r.names["/srv/brane/config"] = r.set.Directory // the directory of the control plane in all documents
	r.root = r.cli.Directory
	r.cli.Directory = filepath.Join(r.root, guideExamples, "work")
	acctest.NoError(t, os.MkdirAll(r.cli.Directory, 0o755))
	copyModules(t, r.root)
	programs := filepath.Join(r.root, "bin")
	acctest.NoError(t, os.Mkdir(programs, 0o755))
	acctest.NoError(t, os.Symlink(r.cli.Program, filepath.Join(programs, "terraform"))) // the documents call the CLI terraform
	r.cli.Env = append(r.cli.Env, "PATH="+programs+":"+os.Getenv("PATH"))
	// The connections of the guides are replaced by those of the test cluster.
	r.cli.WriteFile(t, "test_override.tf", fmt.Sprintf("provider \"brane\" {\n  kubernetes = null\n  redis = null\n  agent_image = null\n  control_plane = { directory = %q }\n}\n", r.set.Directory))
	t.Cleanup(func() { r.deleteCreated(t) })
	r.cli.DestroyAtEnd(t)
	return r
}

// deleteCreated deletes what the commands of guides have created outside of namespaces, after everything else is destroyed.
func (r *reader) deleteCreated(t *testing.T) {
	t.Helper()
	for _, object := range r.created {
		r.set.Kubectl(t, "", "delete", object, "--ignore-not-found", "--wait=false")
	}
}

// follow applies the configurations of these guides and runs their commands.
func (r *reader) follow(t *testing.T, documents map[string][]block, names ...string) {
	t.Helper()
	for _, name := range names {
		if directory := path.Join(guideExamples, name); isApplied(directory) {
			r.copyConfiguration(t, directory)
		}
	}
	r.cli.Run(t, "init", "-no-color")
	after := map[string]string{}
	for _, name := range names {
		if script, err := os.ReadFile(filepath.Join(repository, guideExamples, name, ".prepare.sh")); err == nil {
			r.run(t, name, string(script))
		}
		before, rest := splitAtApply(documents[name])
		if !hasConfiguration(filepath.Join(repository, guideExamples, name)) { // it looks at what others have applied
			before, rest = "", before+rest
		}
		r.run(t, name, before)
		after[name] = rest
	}
	applied := r.cli.Run(t, "apply", "-auto-approve", "-no-color")
	for _, name := range names {
		r.outputs[name] += applied
		r.run(t, name, after[name])
		r.checkOutput(t, documents[name], r.outputs[name])
	}
}

// copyConfiguration copies the files of a directory into that of the configuration.
func (r *reader) copyConfiguration(t *testing.T, directory string) {
	t.Helper()
	r.learnNames(t, readDirectory(t, directory))
	from := filepath.Join(repository, directory)
	manifests, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	acctest.NoError(t, err)
	for _, manifest := range manifests {
		text, err := os.ReadFile(manifest)
		acctest.NoError(t, err)
		r.learnObjects(unscopedInManifest, string(text))
	}
	acctest.NoError(t, filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || file == from {
			return err
		}
		relative, _ := filepath.Rel(from, file)
		if strings.HasPrefix(entry.Name(), ".") || entry.IsDir() && hasConfiguration(file) {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(r.cli.Directory, relative), 0o755)
		}
		text, err := os.ReadFile(file)
		switch filepath.Ext(file) {
		case ".tf":
			relative, text = path.Base(directory)+"_"+relative, r.adapt(t, text)
		case ".yaml":
			text = []byte(r.replaceNames(t, string(text)))
		}
		writeFile(t, filepath.Join(r.cli.Directory, relative), text)
		return err
	}))
}

// learnNames gives unique names to what is not in a namespace, because tests run concurrently and an aborted test may have left objects.
func (r *reader) learnNames(t *testing.T, conf configuration) {
	t.Helper()
	for _, b := range conf.blocks("resource") {
		if attribute, found := b.Body.Attributes["name"]; found && slices.Contains([]string{"brane_namespace", "brane_infrastructure", "brane_file_set"}, b.Labels[0]) {
			if value, diags := attribute.Expr.Value(nil); !diags.HasErrors() {
				r.names[value.AsString()] = value.AsString() + strings.TrimPrefix(r.set.Namespace, "acc")
			}
		}
	}
}

// unscoped matches the start of an object outside of namespaces, in a manifest and in a command.
var (
	unscopedInManifest = regexp.MustCompile(`(?m)^kind: (Namespace|ClusterRole|ClusterRoleBinding)\nmetadata:\n  name: (\S+)$`)
	unscopedInCommand  = regexp.MustCompile(`(?m)^kubectl create (namespace|clusterrole|clusterrolebinding) (\S+)`)
)

// learnObjects gives unique names to objects outside of namespaces.
func (r *reader) learnObjects(pattern *regexp.Regexp, text string) {
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		r.names[match[2]] = match[2] + strings.TrimPrefix(r.set.Namespace, "acc")
		r.created = append(r.created, match[1]+"/"+r.names[match[2]])
	}
}

// adapt returns a configuration with the unique names, and with an image that the nodes can pull.
func (r *reader) adapt(t *testing.T, text []byte) []byte {
	t.Helper()
	for name, unique := range r.names {
		text = regexp.MustCompile(`(=\s*)"`+name+`"`).ReplaceAll(text, []byte(`${1}"`+unique+`"`))
	}
	return []byte(strings.ReplaceAll(string(text), toolsImage, r.set.Getenv(t, "BRANE_TOOLS_IMAGE")))
}

// toolsImage is the image that the guides use. The test cluster does not pull images from the internet.
const toolsImage = "busybox:1.37"

// run runs a script in the directory of the configuration. What it exports stays in the environment, as in the shell of a user.
func (r *reader) run(t *testing.T, guide, script string) {
	t.Helper()
	if strings.TrimSpace(script) == "" {
		return
	}
	r.learnObjects(unscopedInCommand, script)
	environment := filepath.Join(r.root, "environment")
	out := runIn(t, r.cli.Directory, r.cli.Env, r.replaceNames(t, script)+"\nenv -0 >"+environment+"\n")
	r.outputs[guide] += out
	if strings.Contains(out, "No resources found") {
		t.Errorf("a command of %s finds nothing:\n%s", guide, out)
	}
	if exported, err := os.ReadFile(environment); err == nil {
		r.cli.Env = strings.Split(strings.TrimSuffix(string(exported), "\x00"), "\x00")
	}
}

// replaceNames replaces the names in a command or in its output by the unique ones.
func (r *reader) replaceNames(t *testing.T, text string) string {
	t.Helper()
	for name, unique := range r.names {
		text = regexp.MustCompile(`(^|[^\w.-])`+regexp.QuoteMeta(name)+`($|[^\w.-])`).ReplaceAllString(text, "${1}"+unique+"${2}")
	}
	return strings.ReplaceAll(text, toolsImage, r.set.Getenv(t, "BRANE_TOOLS_IMAGE"))
}

// checkOutput checks that the commands print every line of the text blocks that follow a block of commands. In them … is any text.
func (r *reader) checkOutput(t *testing.T, blocks []block, printed string) {
	t.Helper()
	printed = decoration.ReplaceAllString(printed, "")
	for i, b := range blocks {
		if b.language != "text" || i == 0 || len(shellCommands(blocks[i-1])) == 0 || blocks[i-1].notRun != "" {
			continue
		}
		for line := range strings.Lines(b.text) {
			if r.toPattern(t, line).FindString(printed) == "" && strings.TrimSpace(line) != "" {
				t.Errorf("%s: no command prints %q:\n%s", b, line, printed)
			}
		}
	}
}

// toPattern returns a pattern for a line of output, in which … is any text. Where the CLI breaks lines does not matter.
func (r *reader) toPattern(t *testing.T, line string) *regexp.Regexp {
	t.Helper()
	words := strings.Fields(regexp.QuoteMeta(r.replaceNames(t, line)))
	return regexp.MustCompile(strings.ReplaceAll(strings.Join(words, `\s+`), "…", ".*"))
}

// decoration is what the CLI adds to its output: colours, and the line beside a message.
var decoration = regexp.MustCompile(`(?m)^(?:\x1b\[[0-9;]*m)*[│╷╵](?:\x1b\[[0-9;]*m)* ?|\x1b\[[0-9;]*m`)

// splitAtApply returns the commands of a guide before its first `terraform apply`, and those after it. A `terraform destroy` is left out: the test destroys
// everything at its end.
func splitAtApply(blocks []block) (before, after string) {
	into := &before
	for _, b := range blocks {
		if b.notRun != "" || len(shellCommands(b)) == 0 {
			continue
		}
		for line := range strings.Lines(b.text) {
			switch {
			case strings.HasPrefix(line, "terraform destroy"):
			case into == &before && strings.HasPrefix(line, "terraform apply"):
				into = &after
			default:
				*into += line
			}
		}
	}
	return before, after
}

// guideDirectories returns the directories below examples/guides that contain a configuration.
func guideDirectories(t *testing.T) (directories []string) {
	t.Helper()
	for _, file := range acctest.RepositoryFiles(t, guideExamples) {
		if directory := path.Dir(file); path.Ext(file) == ".tf" && !slices.Contains(directories, directory) {
			directories = append(directories, directory)
		}
	}
	return directories
}

func hasConfiguration(directory string) bool {
	files, err := filepath.Glob(filepath.Join(directory, "*.tf"))
	return err == nil && len(files) > 0
}

// isApplied reports whether a directory of the repository has files that are not only validated.
func isApplied(directory string) bool {
	_, err := os.Stat(filepath.Join(repository, directory))
	_, notApplied := os.Stat(filepath.Join(repository, directory, ".not-applied"))
	return err == nil && os.IsNotExist(notApplied)
}

// readDirectory parses the configuration of a directory of the repository.
func readDirectory(t *testing.T, directory string) configuration {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(repository, directory, "*.tf"))
	acctest.NoError(t, err)
	files := map[string][]byte{}
	for _, name := range names {
		files[filepath.Base(name)], err = os.ReadFile(name)
		acctest.NoError(t, err)
	}
	return parseConfiguration(t, directory, files)
}

// readExamples returns the paths of the visible files in examples/ by their text. Other tests validate or apply them.
func readExamples(t *testing.T) map[string]string {
	t.Helper()
	examples := map[string]string{}
	for _, file := range acctest.RepositoryFiles(t, "examples") {
		if strings.HasPrefix(path.Base(file), ".") || path.Ext(file) == ".md" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(repository, file))
		acctest.NoError(t, err)
		examples[strings.TrimSpace(string(text))] = file
	}
	return examples
}

// copyModules copies the modules of the examples.
func copyModules(t *testing.T, root string) {
	t.Helper()
	acctest.CopyRepositoryFiles(t, "examples/modules", filepath.Join(root, "examples/modules"))
}

// writeFile writes a file. Two guides cannot have different files of the same name.
func writeFile(t *testing.T, file string, text []byte) {
	t.Helper()
	if existing, err := os.ReadFile(file); err == nil && string(existing) != string(text) && filepath.Ext(file) != ".tf" {
		t.Errorf("two guides have a file %s", filepath.Base(file))
	}
	acctest.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	acctest.NoError(t, os.WriteFile(file, text, 0o600))
}
