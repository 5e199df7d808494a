package documents

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestTroubleshootingListsAllMessages checks that the guide on troubleshooting lists the title of every error and warning of the provider, and no others.
func TestTroubleshootingListsAllMessages(t *testing.T) {
	inCode := findTitles(t, filepath.Join(root, "internal/provider"))
	if len(inCode) < 100 {
		t.Fatalf("found only %d titles in the code", len(inCode))
	}
	listed := map[string]bool{}
	for _, row := range tableRows(readFile(t, "templates/guides/troubleshooting.md"), "Message") {
		for title := range strings.SplitSeq(row[0], "<br>") {
			if listed[title] {
				t.Errorf("the guide lists %q twice", title)
			}
			listed[title] = true
			if _, found := inCode[title]; !found {
				t.Errorf("the guide lists %q, which is the title of no message", title)
			}
		}
	}
	for title, at := range inCode {
		if !listed[title] {
			t.Errorf("the guide does not list %q of %s", title, at)
		}
	}
}

// findTitles returns the titles of all diagnostics below a directory, with a place of each. A variable part is "…".
func findTitles(t *testing.T, directory string) map[string]string {
	t.Helper()
	titles, files := map[string]string{}, token.NewFileSet()
	err := filepath.WalkDir(directory, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			ast.Inspect(declaration, func(node ast.Node) bool {
				expression := titleOf(node)
				if expression == nil {
					return true
				}
				found, isKnown := evaluateTitle(declaration, expression)
				at := files.Position(node.Pos())
				if !isKnown {
					t.Errorf("%s: the title %s is neither a literal nor a variable with literals", at, printNode(expression))
				}
				for _, title := range found {
					titles[title] = fmt.Sprintf("%s:%d", filepath.Base(at.Filename), at.Line)
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return titles
}

// titleOf returns the argument with the title of a call that adds or creates a diagnostic; nil for every other node.
func titleOf(node ast.Node) ast.Expr {
	call, isCall := node.(*ast.CallExpr)
	if !isCall {
		return nil
	}
	function, isSelector := call.Fun.(*ast.SelectorExpr)
	if !isSelector {
		return nil
	}
	position := map[string]int{
		"AddError": 0, "AddWarning": 0, "NewErrorDiagnostic": 0, "NewWarningDiagnostic": 0,
		"AddAttributeError": 1, "AddAttributeWarning": 1, "NewAttributeErrorDiagnostic": 1, "NewAttributeWarningDiagnostic": 1,
		"reportError": 1,
	}
	at, found := position[function.Sel.Name]
	if printNode(function) == "diagnostic.AddError" { // its first argument are the diagnostics
		at = 1
	}
	if !found || len(call.Args) <= at {
		return nil
	}
	return call.Args[at]
}

var verb = regexp.MustCompile(`%[a-z]`)

// evaluateTitle returns the values of an expression in a declaration. A title that is passed on from a parameter or from another diagnostic has none.
func evaluateTitle(declaration ast.Decl, expression ast.Expr) (titles []string, isKnown bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return []string{text}, err == nil
	case *ast.BinaryExpr: // a literal and a variable
		titles, isKnown = evaluateTitle(declaration, e.X)
		for i := range titles {
			titles[i] += "…"
		}
		return titles, isKnown
	case *ast.CallExpr:
		function := printNode(e.Fun)
		if function != "fmt.Sprintf" {
			return nil, strings.HasSuffix(function, ".Summary")
		}
		titles, isKnown = evaluateTitle(declaration, e.Args[0])
		for i := range titles {
			titles[i] = verb.ReplaceAllString(strings.ReplaceAll(titles[i], "%q", `"…"`), "…")
		}
		return titles, isKnown
	case *ast.Ident:
		if function, isFunction := declaration.(*ast.FuncDecl); isFunction && hasParameter(function, e.Name) {
			return nil, true
		}
		ast.Inspect(declaration, func(node ast.Node) bool {
			if assignment, isAssignment := node.(*ast.AssignStmt); isAssignment && len(assignment.Lhs) == len(assignment.Rhs) {
				for i, left := range assignment.Lhs {
					if printNode(left) == e.Name {
						values, _ := evaluateTitle(declaration, assignment.Rhs[i])
						titles = append(titles, values...)
					}
				}
			}
			return true
		})
		return titles, len(titles) > 0
	}
	return nil, false
}

func hasParameter(function *ast.FuncDecl, name string) bool {
	return slices.ContainsFunc(function.Type.Params.List, func(field *ast.Field) bool {
		return slices.ContainsFunc(field.Names, func(parameter *ast.Ident) bool { return parameter.Name == name })
	})
}

func printNode(node ast.Node) string {
	var text bytes.Buffer
	_ = printer.Fprint(&text, token.NewFileSet(), node) // a buffer has no errors
	return text.String()
}
