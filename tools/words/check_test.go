package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCheck(t *testing.T) {
	root := fstest.MapFS{
		"README.md":                 {Data: []byte("The folder\n\nis read at once.\n")},
		"docs/a.md":                 {Data: []byte("There is no file. It is no file.\n`dial tcp` fails: dial again.\n")},
		"docs/picture.png":          {Data: []byte("folder")},
		"docs/testdata/a.md":        {Data: []byte("folder")},
		"docs/.hidden/a.md":         {Data: []byte("folder")},
		"internal/a.go":             {Data: []byte("package a\n\n// F tells\n// the folder.\nvar F = \"the folder\\nis anew\"\n\nconst key = \"folder\"\n\nvar raw = `one\nfolder two`\n")},
		"internal/a_test.go":        {Data: []byte("package a\n\n// folder\n")},
		"tools/words/vocabulary.go": {Data: []byte("package main\n\n// folder\n")},
	}
	findings, err := check(root, []string{"README.md", "docs"}, []string{"internal", "tools"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, finding := range findings {
		got = append(got, fmt.Sprintf("%s:%d %s", finding.file, finding.line, finding.found))
	}
	want := "README.md:1 folder, README.md:3 at once, docs/a.md:1 is no file, docs/a.md:2 dial, " +
		"internal/a.go:3 tells, internal/a.go:4 folder, internal/a.go:5 anew, internal/a.go:5 folder, internal/a.go:10 folder"
	if strings.Join(got, ", ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), want)
	}
}

func TestFindingNamesTheReplacement(t *testing.T) {
	got := inText("a.md", 7, "in a folder")
	if want := `[a.md:7: "folder" → use "directory"]`; fmt.Sprint(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
