package documents

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestAttributesAreGrouped checks that each attribute is in exactly one of the groups that the template of its page lists. A template adds an attribute that it
// does not list to the last group.
func TestAttributesAreGrouped(t *testing.T) {
	lists := 0
	templates := filepath.Join(root, "templates")
	err := filepath.WalkDir(templates, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(templates, file)
		if err != nil {
			return err
		}
		for _, list := range regexp.MustCompile(`\$groups :?= "([^"]+)"`).FindAllStringSubmatch(readFile(t, filepath.Join("templates", name)), -1) {
			lists++
			checkGroups(t, strings.TrimSuffix(name, ".tmpl"), list[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if lists < 4 {
		t.Errorf("found only %d lists of groups", lists)
	}
}

// checkGroups compares a list of groups with the part of a page that has them.
func checkGroups(t *testing.T, page, list string) {
	t.Helper()
	var want []string
	for _, group := range strings.Split(list, " | ") {
		_, names, _ := strings.Cut(group, " = ")
		want = append(want, strings.Fields(names)...)
	}
	first, _, _ := strings.Cut(list, " = ")
	_, part, _ := strings.Cut(readFile(t, filepath.Join("docs", page)), "\n#### "+first+"\n")
	part = regexp.MustCompile(`\n(### |<a id=)`).Split(part, 2)[0]
	var got []string
	for _, attribute := range regexp.MustCompile("(?m)^- `([^`]+)`").FindAllStringSubmatch(part, -1) {
		got = append(got, attribute[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/%s groups the attributes %q, and its template lists %q", page, got, want)
	}
}
