package documents

import (
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var (
	link     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	anchor   = regexp.MustCompile(`<a id="([^"]+)">`)
	fenced   = regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```")
	inline   = regexp.MustCompile("`[^`\n]*`")
	linkText = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
)

// TestLinks checks that each relative link of a document leads to a file, and its fragment to a heading or an anchor. A link between pages of
// docs/ ends in .md, which works on GitHub and in the registry, and does not leave docs/, because the registry has no other files. Links to
// other sites are not followed.
func TestLinks(t *testing.T) {
	documents := findDocuments(t)
	if len(documents) < 30 {
		t.Fatalf("found only %d documents", len(documents))
	}
	links := 0
	for name, text := range documents {
		for _, match := range link.FindAllStringSubmatch(inline.ReplaceAllString(fenced.ReplaceAllString(text, ""), "``"), -1) {
			target, err := url.Parse(match[1])
			if err != nil {
				t.Errorf("%s: the link %q is not a URL: %v", name, match[1], err)
				continue
			}
			if target.Scheme != "" {
				continue
			}
			links++
			checkLink(t, documents, name, target)
		}
	}
	if links < 100 {
		t.Errorf("found only %d links", links)
	}
}

func checkLink(t *testing.T, documents map[string]string, from string, target *url.URL) {
	t.Helper()
	file := from
	if target.Path != "" {
		file = path.Join(path.Dir(from), target.Path)
	}
	if _, err := os.Stat(filepath.Join(root, file)); err != nil {
		t.Errorf("%s: the link %q leads to no file", from, target)
		return
	}
	if strings.HasPrefix(from, "docs/") && (!strings.HasPrefix(file, "docs/") || path.Ext(file) != ".md") {
		t.Errorf("%s: the link %q leads to no page of docs/, and the registry has no other files", from, target)
	}
	if target.Fragment == "" {
		return
	}
	if !hasAnchor(documents[file], target.Fragment) {
		t.Errorf("%s: the link %q leads to no heading or anchor", from, target)
	}
}

func hasAnchor(text, fragment string) bool {
	for _, match := range anchor.FindAllStringSubmatch(text, -1) {
		if match[1] == fragment {
			return true
		}
	}
	for _, match := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		if toFragment(match[1]) == fragment {
			return true
		}
	}
	return false
}

// toFragment returns the fragment that GitHub and the registry give to a heading.
func toFragment(title string) string {
	title = strings.ReplaceAll(linkText.ReplaceAllString(title, "$1"), "`", "")
	var fragment strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r == ' ':
			fragment.WriteRune('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			fragment.WriteRune(r)
		}
	}
	return fragment.String()
}

func TestToFragment(t *testing.T) {
	for title, want := range map[string]string{
		"What is lost with Redis": "what-is-lost-with-redis", "1. The `call`, and more": "1-the-call-and-more",
		"A [link](b.md) here": "a-link-here", "snake_case": "snake_case",
	} {
		if got := toFragment(title); got != want {
			t.Errorf("%q: got %q, want %q", title, got, want)
		}
	}
}

// findDocuments returns the Markdown documents of the repository, by their paths. docs/ contains the templates.
func findDocuments(t *testing.T) map[string]string {
	t.Helper()
	documents := map[string]string{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		isHidden := strings.HasPrefix(entry.Name(), ".") && name != "." && name != ".github"
		if entry.IsDir() && (isHidden || entry.Name() == "testdata" || name == "templates") {
			return filepath.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			documents[name] = readFile(t, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return documents
}
