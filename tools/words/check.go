package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// finding is a word at a place.
type finding struct {
	file    string
	line    int
	found   string
	instead string
}

func (f finding) String() string {
	return fmt.Sprintf("%s:%d: %q → use %q", f.file, f.line, f.found, f.instead)
}

// check returns the findings in all documents and Go sources, in the order of files and lines.
func check(root fs.FS, documents, sources []string) ([]finding, error) {
	var all []finding
	err := walk(root, documents, func(name string, text []byte) error {
		if isDocument(name) {
			all = append(all, inText(name, 1, string(text))...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = walk(root, sources, func(name string, text []byte) error {
		if path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || name == "tools/words/vocabulary.go" {
			return nil
		}
		found, err := inSource(name, text)
		all = append(all, found...)
		return err
	})
	return all, err
}

// isDocument reports whether a file contains text for people: scripts and the Makefile have no extension.
func isDocument(name string) bool {
	return path.Ext(name) == "" || slices.Contains([]string{".md", ".tmpl", ".tf", ".hcl", ".sh", ".yml"}, path.Ext(name))
}

// walk calls visit for every file in these files and directories, except hidden ones and testdata.
func walk(root fs.FS, names []string, visit func(name string, text []byte) error) error {
	for _, top := range names {
		err := fs.WalkDir(root, top, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && (name != top && strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata"):
				return fs.SkipDir
			case entry.IsDir():
				return nil
			}
			text, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			return visit(name, text)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// inText returns the findings in a text that starts at a line of a file.
func inText(file string, line int, text string) (findings []finding) {
	for offset, line := range strings.Split(text, "\n") {
		findings = append(findings, inLine(file, offset, line)...)
	}
	for i := range findings {
		findings[i].line += line
	}
	return findings
}

// inLine returns the findings in one line, without correct uses.
func inLine(file string, number int, line string) (findings []finding) {
	for _, rule := range vocabulary {
		var allowed [][]int
		if rule.allowed != nil {
			allowed = rule.allowed.FindAllStringIndex(line, -1)
		}
		for _, at := range rule.pattern.FindAllStringIndex(line, -1) {
			isAllowed := slices.ContainsFunc(allowed, func(around []int) bool { return around[0] <= at[0] && at[1] <= around[1] })
			if !isAllowed {
				findings = append(findings, finding{file, number, line[at[0]:at[1]], rule.instead})
			}
		}
	}
	return findings
}

// inSource returns the findings in the string literals and comments of a Go file. A literal without a space is a key or a name, not a text.
func inSource(name string, text []byte) (findings []finding, err error) {
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, name, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	ast.Inspect(parsed, func(node ast.Node) bool {
		literal, isLiteral := node.(*ast.BasicLit)
		if !isLiteral || literal.Kind != token.STRING || !strings.Contains(literal.Value, " ") {
			return true
		}
		value := literal.Value
		if value[0] == '"' { // so that an escaped newline separates words
			if value, err = strconv.Unquote(literal.Value); err != nil {
				return true
			}
			value = strings.ReplaceAll(value, "\n", " ")
		}
		findings = append(findings, inText(name, files.Position(literal.Pos()).Line, value)...)
		return true
	})
	for _, group := range parsed.Comments {
		for _, comment := range group.List {
			findings = append(findings, inText(name, files.Position(comment.Pos()).Line, comment.Text)...)
		}
	}
	slices.SortStableFunc(findings, func(a, b finding) int { return a.line - b.line })
	return findings, nil
}
