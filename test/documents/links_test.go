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

// TestLinks checks that each relative link of a document leads to a file, and its fragment to exactly one heading or anchor. Links to other sites are not followed.
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
	if isOnRegistry(from) {
		if problem := checkRegistryLink(from, target); problem != "" {
			t.Errorf("%s: the link %q %s", from, target, problem)
		}
	}
	if target.Fragment == "" {
		return
	}
	if n := countAnchors(documents[file], target.Fragment); n != 1 {
		t.Errorf("%s: the link %q leads to %d headings or anchors", from, target, n)
	}
}

// isOnRegistry reports whether the Terraform registry has a page for a file: it ignores other files in docs/, such as those of the benchmarks.
func isOnRegistry(file string) bool {
	return file == "docs/index.md" || strings.HasPrefix(file, "docs/") && strings.Count(file, "/") > 1 && path.Ext(file) == ".md"
}

// checkRegistryLink returns why a link of a page of docs/ does not work both on GitHub and in the Terraform registry; "" if it works in both. The registry resolves only
// links that end in .md, relative to the file, and only below docs/: it has no other files. The first page is at …/docs, so …/docs/index with a fragment opens it at
// its start.
func checkRegistryLink(from string, target *url.URL) string {
	file := path.Join(path.Dir(from), target.Path)
	switch {
	case target.Path == "":
		return ""
	case path.IsAbs(target.Path) || path.Ext(target.Path) != ".md":
		return "is not a relative path that ends in .md"
	case !strings.HasPrefix(file, "docs/"):
		return "leads out of docs/, and the registry has no other files"
	case !isOnRegistry(file):
		return "leads to a page that the registry does not have"
	case target.Path != shortest(path.Dir(from), file):
		return "is not the shortest path; the registry does not resolve others, such as ../docs/"
	case file == "docs/index.md" && target.Fragment != "":
		return "leads to a section of the first page, which the registry does not open: use the address of the section in the registry"
	}
	return ""
}

// shortest returns the shortest relative path from a directory of docs/ to a file of docs/.
func shortest(directory, file string) string {
	switch {
	case directory == path.Dir(file):
		return path.Base(file)
	case directory == "docs":
		return strings.TrimPrefix(file, "docs/")
	}
	return "../" + strings.TrimPrefix(file, "docs/")
}

func TestCheckRegistryLink(t *testing.T) {
	for link, isFine := range map[string]bool{
		"../resources/a.md": true, "b.md#c": true, "../index.md": true, "#c": true,
		"../resources/a": false, "/docs/resources/a.md": false, "../../README.md": false, "../../docs/resources/a.md": false, "../index.md#c": false, "../guides/b.md": false,
		"../resources/a.html": false, "../performance.md": false,
	} {
		target, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		if problem := checkRegistryLink("docs/guides/x.md", target); (problem == "") != isFine {
			t.Errorf("%s: %q", link, problem)
		}
	}
	if problem := checkRegistryLink("docs/index.md", &url.URL{Path: "guides/x.md"}); problem != "" {
		t.Error(problem)
	}
}

// TestIndexLeadsToAllGuides checks that the first page links every guide and every resource, because the registry shows no other overview.
func TestIndexLeadsToAllGuides(t *testing.T) {
	index := readFile(t, "docs/index.md")
	for name := range findDocuments(t) {
		page := strings.TrimPrefix(name, "docs/")
		if (strings.HasPrefix(page, "guides/") || strings.HasPrefix(page, "resources/")) && !strings.Contains(index, "]("+page) {
			t.Errorf("docs/index.md has no link to %s", page)
		}
	}
}

func countAnchors(text, fragment string) (n int) {
	for _, match := range anchor.FindAllStringSubmatch(text, -1) {
		if match[1] == fragment {
			n++
		}
	}
	for _, match := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		if toFragment(match[1]) == fragment {
			n++
		}
	}
	return n
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
