package documents

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var variable = regexp.MustCompile(`^(KUBE|BRANE)_[A-Z_]+$`)

// TestIndexListsAllVariables checks that the table of the first page lists the environment variables that the provider reads, and no others.
func TestIndexListsAllVariables(t *testing.T) {
	read := map[string]string{}
	directory := filepath.Join(root, "internal/provider")
	err := filepath.WalkDir(directory, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && (entry.Name() == "acctest" || entry.Name() == "heldrun") { // they are for tests
			return errOrSkip(err)
		}
		if filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if literal, isLiteral := node.(*ast.BasicLit); isLiteral && literal.Kind == token.STRING {
				if value, err := strconv.Unquote(literal.Value); err == nil && variable.MatchString(value) {
					read[value] = name
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(read) < 15 {
		t.Fatalf("found only %d variables in the code", len(read))
	}
	listed := map[string]bool{}
	for _, row := range tableRows(readFile(t, "docs/index.md"), "Variable") {
		name := strings.Trim(row[0], "`")
		listed[name] = true
		if read[name] == "" {
			t.Errorf("docs/index.md lists %s, which the provider does not read", name)
		}
	}
	for name, file := range read {
		if !listed[name] {
			t.Errorf("docs/index.md does not list %s, which %s reads", name, file)
		}
	}
}

// errOrSkip returns the error of a walk, or that the directory is skipped.
func errOrSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}
