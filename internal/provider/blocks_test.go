package provider_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// tested lists the blocks that are neither commands with their output nor files of examples/, and the files of examples/ that are no configuration: for each, the
// test that runs or reads it.
var tested = []struct{ block, test string }{
	{"examples/guides/ci/gitlab-ci.yml", "TestAccPipelines"},
	{"examples/guides/ci/runner.yaml", "TestAccPipelines"},
	{"examples/guides/ci/workflow.yml", "TestAccPipelines"},
	{"examples/guides/permissions/clusterrole.yaml", "TestAccOwnRights"},
	{"examples/guides/permissions/role.yaml", "TestAccLeastPrivilege"},
	{"examples/guides/getting-started/redis.yaml", "TestExampleManifests"},
	{"examples/guides/pulumi/Pulumi.yaml", "make test-pulumi"},
	{"examples/guides/redis/redis.conf", "TestRedisConfiguration"},
	{"examples/packages/text.container.yml", "TestAccExamples"},
	{"README.md terraform", "TestAccTranscript"},
	{"README.md console", "TestAccTranscript"},
	{"README.md ", "TestAccDocumentedCommands"},
	{"docs/guides/format.md json", "TestGuideExamples"},
	{"docs/guides/format.md ", "TestThePermissionsOfTheGuideAreEnough"},
	{"docs/functions text", "make docs-check"},
	{"examples/modules/compute-cluster/README.md terraform", "TestAccDocumentedConfigurations"},
}

// illustrations lists the blocks that show neither commands nor configurations nor formats: pictures, and forms of commit messages and functions.
var illustrations = []string{"README.md mermaid", "ARCHITECTURE.md ", "CONTRIBUTING.md "}

// TestBlocksAreTested checks that a test covers every block of every document: commands and what they print are followed by TestAccGuides and
// TestAccDocumentedCommands, configurations are files of examples/, which TestAccExamples, TestAccGuides and TestAccDocumentedConfigurations apply or validate, and all
// others are listed above.
func TestBlocksAreTested(t *testing.T) {
	examples, used := readExamples(t), map[string]bool{}
	var previous block
	for _, b := range readDocuments(t) {
		follows := previous.document == b.document && len(shellCommands(previous)) > 0
		previous = b
		name := b.document + " " + b.language
		if strings.HasPrefix(b.document, "docs/functions/") {
			name = "docs/functions " + b.language
		}
		if file := examples[strings.TrimSpace(b.text)]; file != "" {
			name = file
		}
		isConfiguration := slices.Contains([]string{".tf", ".hcl", ".sh"}, filepath.Ext(name))
		isOutput := follows && b.language == "text" && strings.HasPrefix(b.document, guides+"/")
		switch {
		case len(shellCommands(b)) > 0, isConfiguration, isOutput, slices.Contains(illustrations, name):
		case slices.ContainsFunc(tested, func(entry struct{ block, test string }) bool { return entry.block == name }):
			used[name] = true
		default:
			t.Errorf("%s: no test covers the block %q", b, name)
		}
	}
	tests := findTests(t)
	for _, entry := range tested {
		if !used[entry.block] {
			t.Errorf("no document has the block %s", entry.block)
		}
		if strings.HasPrefix(entry.test, "Test") && !tests[entry.test] {
			t.Errorf("%s: there is no test %s", entry.block, entry.test)
		}
	}
}

// TestExamplesAreShown checks that a page includes every example, so that no example is without readers.
func TestExamplesAreShown(t *testing.T) {
	shown := map[string]bool{}
	for _, b := range readDocuments(t) {
		shown[strings.TrimSpace(b.text)] = true
	}
	for text, file := range readExamples(t) {
		// The two that consist of several files have a README, or are linked as a whole.
		isWhole := slices.ContainsFunc([]string{"examples/quickstart/", "examples/modules/", "examples/workflow/", "examples/packages/", "examples/data-sources/brane_package/"}, func(directory string) bool {
			return strings.HasPrefix(file, directory)
		})
		if !isWhole && !shown[text] {
			t.Errorf("no document includes %s", file)
		}
	}
}

// TestExampleManifests checks the manifests that no test applies: their fields are those of Kubernetes, and the Service selects the pods.
func TestExampleManifests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, guideExamples, firstGuide, "redis.yaml"))
	acctest.NoError(t, err)
	documents := strings.Split(string(text), "\n---\n")
	if len(documents) != 3 {
		t.Fatalf("there are %d objects, want a Namespace, a Deployment and a Service", len(documents))
	}
	var (
		namespace  corev1.Namespace
		deployment appsv1.Deployment
		service    corev1.Service
	)
	for i, into := range []any{&namespace, &deployment, &service} {
		acctest.NoError(t, yaml.UnmarshalStrict([]byte(documents[i]), into))
	}
	pods := labels.Set(deployment.Spec.Template.Labels)
	if !labels.SelectorFromSet(service.Spec.Selector).Matches(pods) || !labels.SelectorFromSet(deployment.Spec.Selector.MatchLabels).Matches(pods) {
		t.Errorf("the selectors do not match the labels %v of the pods", pods)
	}
	if deployment.Namespace != namespace.Name || service.Namespace != namespace.Name {
		t.Errorf("the objects are in the namespaces %s and %s, not in %s", deployment.Namespace, service.Namespace, namespace.Name)
	}
	server := redistest.Start(t, deployment.Spec.Template.Spec.Containers[0].Args[1:]...) // after the name of the program
	if warnings, err := checkRedis(t, server); err != nil || len(warnings) > 0 {
		t.Errorf("the provider reports %v, %v", warnings, err)
	}
}

// TestRedisConfiguration checks that a server with the configuration of the guide on Redis has no warning.
func TestRedisConfiguration(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, guideExamples, "redis/redis.conf"))
	acctest.NoError(t, err)
	var args []string
	for line := range strings.Lines(string(text)) {
		option, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		args = append(args, "--"+option, value)
	}
	if warnings, err := checkRedis(t, redistest.Start(t, args...)); err != nil || len(warnings) > 0 {
		t.Errorf("the provider reports %v, %v", warnings, err)
	}
}

// checkRedis returns what the provider reports about a server.
func checkRedis(t *testing.T, server *redistest.Server) ([]string, error) {
	t.Helper()
	connection, err := files.Dial(server.URL())
	acctest.NoError(t, err)
	t.Cleanup(func() { _ = connection.Close() })
	return files.Check(t.Context(), connection)
}

// findTests returns the names of all tests of the main module.
func findTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	for _, directory := range []string{"cmd", "internal"} {
		acctest.NoError(t, filepath.WalkDir(filepath.Join(repository, directory), func(file string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			for _, match := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
				tests[string(match[1])] = true
			}
			return err
		}))
	}
	return tests
}
