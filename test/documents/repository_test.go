package documents

import (
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestActionsArePinned checks that every action in the workflows is pinned by the hash of a commit, with its version in a comment, because a tag can be moved.
func TestActionsArePinned(t *testing.T) {
	pinned, found := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v[\d.]+$`), 0
	for _, pattern := range []string{".github/workflows/*.yml", "examples/guides/ci/*.yml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name, _ := filepath.Rel(root, file)
			for _, match := range regexp.MustCompile(`(?m)\buses: *([^\n]*\S)`).FindAllStringSubmatch(readFile(t, name), -1) {
				found++
				action, _, _ := strings.Cut(match[1], " # v")
				if version := regexp.MustCompile(`# v[\d.]+`).FindString(match[1]); !pinned.MatchString(action + " " + version) {
					t.Errorf("%s: %s is not pinned by the hash of a commit with its version in a comment", name, match[1])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("found only %d actions", found)
	}
}

// TestDependabotKnowsAllModules compares the directories in the configuration of dependabot with the modules of the repository.
func TestDependabotKnowsAllModules(t *testing.T) {
	var config struct {
		Updates []struct {
			Ecosystem   string   `yaml:"package-ecosystem"`
			Directories []string `yaml:"directories"`
		} `yaml:"updates"`
	}
	if err := yaml.Unmarshal([]byte(readFile(t, ".github/dependabot.yml")), &config); err != nil {
		t.Fatal(err)
	}
	var modules, listed []string
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && file != root {
			return filepath.SkipDir
		}
		if entry.Name() == "go.mod" {
			directory, err := filepath.Rel(root, filepath.Dir(file))
			modules = append(modules, path.Join("/", filepath.ToSlash(directory)))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, update := range config.Updates {
		if update.Ecosystem == "gomod" {
			listed = append(listed, update.Directories...)
		}
	}
	slices.Sort(listed)
	expectEqual(t, "modules of dependabot", listed, modules)
}

// TestIssueForms checks that the issue forms are valid YAML with what GitHub requires of them.
func TestIssueForms(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github/ISSUE_TEMPLATE/*.yml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("found only the forms %q: %v", files, err)
	}
	for _, file := range files {
		name, _ := filepath.Rel(root, file)
		if path.Base(name) == "config.yml" {
			continue
		}
		var form struct {
			Name, Description string
			Body              []struct {
				Type, ID   string
				Attributes struct{ Label, Value string }
			}
		}
		decoder := yaml.NewDecoder(strings.NewReader(readFile(t, name)))
		if err := decoder.Decode(&form); err != nil || form.Name == "" || form.Description == "" || len(form.Body) == 0 {
			t.Errorf("%s lacks a name, a description or a body: %v", name, err)
		}
		ids := map[string]bool{}
		for _, field := range form.Body {
			isText := field.Type == "markdown" && field.Attributes.Value != ""
			isField := slices.Contains([]string{"input", "textarea", "dropdown", "checkboxes"}, field.Type) && field.Attributes.Label != "" && !ids[field.ID]
			if !isText && !isField {
				t.Errorf("%s: the field %q of type %q has no label, or an ID twice", name, field.ID, field.Type)
			}
			ids[field.ID] = true
		}
	}
}
