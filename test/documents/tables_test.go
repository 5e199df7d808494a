package documents

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// constants returns the constants of Go files whose names match a pattern, with their values as text. Of a sum of a name and a literal it is the literal.
func constants(t *testing.T, pattern, names string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s: %v", pattern, err)
	}
	found := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, isSpec := node.(*ast.ValueSpec)
			if !isSpec || len(spec.Names) != 1 || len(spec.Values) != 1 || !regexp.MustCompile(names).MatchString(spec.Names[0].Name) {
				return true
			}
			expression := spec.Values[0]
			if sum, isSum := expression.(*ast.BinaryExpr); isSum {
				expression = sum.Y
			}
			if literal, isLiteral := expression.(*ast.BasicLit); isLiteral {
				value := constant.MakeFromLiteral(literal.Value, literal.Kind, 0)
				found[spec.Names[0].Name] = value.ExactString()
				if value.Kind() == constant.String {
					found[spec.Names[0].Name] = constant.StringVal(value)
				}
			}
			return true
		})
	}
	if len(found) == 0 {
		t.Fatalf("no constants in %s match %s", pattern, names)
	}
	return found
}

// column returns the texts in code style in one column of the tables with this title, sorted.
func column(text, title string, number int) (values []string) {
	for _, row := range tableRows(text, title) {
		for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[number], -1) {
			values = append(values, match[1])
		}
	}
	slices.Sort(values)
	return values
}

func expectEqual(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s: the guide lists %q, the code has %q", what, got, want)
	}
}

// TestStatusTables compares the guide on exit codes and statuses with the constants of the code.
func TestStatusTables(t *testing.T) {
	guide := readFile(t, "templates/guides/statuses.md")
	_, ofRuns, _ := strings.Cut(guide, "## Status of a run")
	ofRuns, ofSteps, found := strings.Cut(ofRuns, "## Status of a step")
	if !found {
		t.Fatal("the guide has no sections on the statuses of runs and steps")
	}
	const statuses = "internal/brane/workflow/result.go"
	expectEqual(t, "statuses of a run", column(ofRuns, "Status", 0), slices.Collect(maps.Values(constants(t, statuses, "^Run"))))
	expectEqual(t, "statuses of a step", column(ofSteps, "Status", 0), slices.Collect(maps.Values(constants(t, statuses, "^S|^Failed"))))

	codes := constants(t, "internal/brane/agent/protocol.go", "^Exit")
	for _, row := range tableRows(ofSteps, "Code") {
		name := strings.Trim(row[1], "`")
		if name == "" {
			continue
		}
		if codes[name] != row[0] {
			t.Errorf("the guide has exit code %s for %s, the code %q", row[0], name, codes[name])
		}
		delete(codes, name)
	}
	if len(codes) > 0 {
		t.Errorf("the guide lacks the exit codes %v", codes)
	}
	expectEqual(t, "reasons", column(ofSteps, "Reason", 0), []string{workflow.ReasonJobDeleted, workflow.ReasonJobRefused, workflow.ReasonFilesConflict})
}

// TestFormatExitCodes compares the exit codes of the guide on the format with those of the agent.
func TestFormatExitCodes(t *testing.T) {
	var got []string
	for _, row := range tableRows(readFile(t, "templates/guides/format.md"), "exit code") {
		if code, err := strconv.Atoi(row[0]); err == nil && code > 0 {
			got = append(got, row[0])
		}
	}
	expectEqual(t, "exit codes", got, slices.Collect(maps.Values(constants(t, "internal/brane/agent/protocol.go", "^Exit"))))
}

// TestFormatStepFields compares the fields of BRANE_STEP in the guide on the format with those of the agent.
func TestFormatStepFields(t *testing.T) {
	_, table, _ := strings.Cut(readFile(t, "templates/guides/format.md"), "`BRANE_STEP` contains")
	var got, want []string
	for _, row := range tableRows(table, "field") {
		for name := range strings.SplitSeq(row[0], ", ") {
			got = append(got, strings.Trim(name, "`"))
		}
	}
	of := reflect.TypeFor[agent.Step]()
	for i := range of.NumField() {
		if name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ","); name != "item" { // it is never part of the pod
			want = append(want, name)
		}
	}
	expectEqual(t, "fields of BRANE_STEP", slices.Sorted(slices.Values(got)), want)
}

// TestLabelTables compares the guide on labels and names with the code.
func TestLabelTables(t *testing.T) {
	guide := readFile(t, "templates/guides/labels.md")
	labels := slices.Collect(maps.Keys((workflow.Ref{}).ComponentLabels("")))
	expectEqual(t, "labels", column(guide, "Label", 0), append(labels, workflow.StepLabel, workflow.AttemptLabel, workflow.EngineLabel))

	run := workflow.Ref{ID: "<id>"}
	_, ofNamespaces, _ := strings.Cut(guide, "## Objects of a namespace")
	ofNamespaces, ofRuns, _ := strings.Cut(ofNamespaces, "## Objects of a run")
	expectEqual(t, "objects of a run", slices.Compact(column(ofRuns, "Kind", 1)), []string{
		run.ObjectName(), run.AccessName("<term>"), run.SecretEnvName("<term>"), run.EngineName(), run.EngineAccessName("<term>"), run.EngineName() + "-<number>", strings.TrimSuffix(jobspec.JobName("<id>", "<step>", 1), "1") + "<attempt>",
	})
	for file, names := range map[string]string{"network.go": "Policy$|Prefix$", "secrets.go": "^pullSecretName$|^versionsAnnotation$"} {
		for constant, name := range constants(t, "internal/brane/namespace/"+file, names) {
			if !strings.Contains(ofNamespaces, name) {
				t.Errorf("the guide does not contain %q, the value of %s", name, constant)
			}
		}
	}
	variables := []string{agent.EnvStepIndex, agent.EnvItem, agent.EnvIndex}
	expectEqual(t, "variables of the command", column(ofRuns, "Variable", 0), variables)
	for _, container := range []string{workflow.StageContainer, workflow.StepContainer} {
		if !strings.Contains(ofRuns, fmt.Sprintf("`%s`", container)) {
			t.Errorf("the guide does not contain the container %s", container)
		}
	}
}

// TestPermissionTables compares the tables of the guide on permissions with the Role of `access = "run"` and with that of an engine.
func TestPermissionTables(t *testing.T) {
	guide := readFile(t, "docs/guides/permissions.md")
	engine := jobspec.BuildEngineAccount(workflow.Ref{ID: "id", Namespace: "n"}, "account", metav1.OwnerReference{})
	for title, rules := range map[string][]rbacv1.PolicyRule{"Resource": namespace.AccessRun.Rules(), "Resource in the namespace": engine.Role.Rules} {
		var got, want []string
		for _, row := range tableRows(guide, title) {
			got = append(got, strings.ReplaceAll(row[0]+": "+row[1], "`", ""))
		}
		for _, rule := range rules {
			for _, resource := range rule.Resources {
				if group := rule.APIGroups[0]; group != "" {
					resource += " (" + group + ")"
				}
				want = append(want, resource+": "+strings.Join(rule.Verbs, ", "))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		expectEqual(t, title, got, want)
	}
}
