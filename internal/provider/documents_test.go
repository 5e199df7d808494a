package provider_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// block is a fenced code block of a Markdown document.
type block struct {
	document string // its path in the repository
	line     int    // of the first line of the text
	language string
	text     string
	notRun   string // the reason in a comment `<!-- not run: reason -->` above the block, which readers do not see
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.document, b.line) }

var (
	fence       = regexp.MustCompile("^(\\s*)```(\\w*)")
	notRunAbove = regexp.MustCompile(`^\s*<!-- not run: (.+) -->\s*$`)
	comment     = regexp.MustCompile(`(^|\s+)#\s.*$`)
)

// readBlocks returns the fenced blocks of a Markdown text.
func readBlocks(document string, text []byte) (blocks []block) {
	var open *block
	reason, indentation, number := "", "", 0
	for line := range bytes.Lines(text) {
		number++
		found := fence.FindSubmatch(line)
		switch {
		case found != nil && open == nil:
			indentation = string(found[1])
			open = &block{document: document, line: number + 1, language: string(found[2]), notRun: reason}
		case found != nil:
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.text += strings.TrimPrefix(string(line), indentation)
		}
		reason = ""
		if comment := notRunAbove.FindSubmatch(line); comment != nil {
			reason = string(comment[1])
		}
	}
	return blocks
}

func TestReadBlocks(t *testing.T) {
	got := readBlocks("a.md", []byte("1. A\n   ```sh\n   make a\n   ```\n\n<!-- not run: needs a cloud -->\n```\nb\n```\n```hcl\n```\n"))
	want := []block{{"a.md", 3, "sh", "make a\n", ""}, {"a.md", 8, "", "b\n", "needs a cloud"}, {"a.md", 11, "hcl", "", ""}}
	if fmt.Sprint(got) != fmt.Sprint(want) || got[1].notRun != want[1].notRun {
		t.Errorf("got %q, want %q", got, want)
	}
}

// readDocuments returns the blocks of all Markdown documents of the repository that are not generated from others, by path.
func readDocuments(t *testing.T) (blocks []block) {
	t.Helper()
	acctest.NoError(t, filepath.WalkDir(repository, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(filepath.ToSlash(file), repository+"/")
		if entry.IsDir() && (strings.HasPrefix(entry.Name(), ".") && file != repository || name == "templates") { // docs/ contains the templates
			return filepath.SkipDir
		}
		if filepath.Ext(name) != ".md" {
			return nil
		}
		text, err := os.ReadFile(file)
		blocks = append(blocks, readBlocks(name, text)...)
		return err
	}))
	return blocks
}

// configuration is a parsed Terraform configuration of a document or of an example.
type configuration struct {
	name  string
	files map[string][]byte
	body  []*hclsyntax.Body
}

func parseConfiguration(t *testing.T, name string, files map[string][]byte) configuration {
	t.Helper()
	c := configuration{name: name, files: files}
	for file, text := range files {
		parsed, diags := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
		if diags.HasErrors() {
			t.Errorf("%s: %s", name, diags)
			continue
		}
		c.body = append(c.body, parsed.Body.(*hclsyntax.Body)) //nolint:forcetypeassert // documented
	}
	return c
}

// blocks returns all blocks of these types.
func (c configuration) blocks(types ...string) (found []*hclsyntax.Block) {
	for _, body := range c.body {
		for _, b := range body.Blocks {
			if slices.Contains(types, b.Type) {
				found = append(found, b)
			}
		}
	}
	return found
}

// isFragment reports whether the configuration consists of attributes, and so is a part of a block.
func (c configuration) isFragment() bool {
	return slices.ContainsFunc(c.body, func(body *hclsyntax.Body) bool { return len(body.Attributes) > 0 })
}

// hasRequiredProviders reports whether the configuration is a complete one.
func (c configuration) hasRequiredProviders() bool {
	for _, b := range c.blocks("terraform") {
		for _, inner := range b.Body.Blocks {
			if inner.Type == "required_providers" {
				return true
			}
		}
	}
	return false
}

// needs returns what the CLI of the test does not have: another provider, a newer CLI, or a resource that the configuration does not declare. It is empty for a
// configuration that can be validated.
func (c configuration) needs() string {
	for _, b := range c.blocks("provider", "resource", "data", "ephemeral") {
		if provider, _, _ := strings.Cut(b.Labels[0], "_"); provider != "brane" && provider != "terraform" {
			return "the provider " + provider
		}
	}
	for _, b := range c.blocks("module") {
		if value, diags := b.Body.Attributes["source"].Expr.Value(nil); diags.HasErrors() || !strings.HasPrefix(value.AsString(), ".") {
			return "the module " + b.Labels[0]
		}
	}
	if len(c.blocks("action", "list")) > 0 {
		return "Terraform 1.14"
	}
	declared := []string{}
	for _, b := range c.blocks("resource") {
		declared = append(declared, strings.Join(b.Labels, "."))
	}
	for _, body := range c.body {
		for _, traversal := range findReferences(body) {
			if strings.HasPrefix(traversal.RootName(), "brane_") && len(traversal) > 1 {
				if step, isName := traversal[1].(hcl.TraverseAttr); isName && !slices.Contains(declared, traversal.RootName()+"."+step.Name) {
					return "the resource " + traversal.RootName() + "." + step.Name
				}
			}
		}
	}
	return ""
}

// requiredVariables returns the variables without a default, and those that are used and not declared.
func (c configuration) requiredVariables() (required, undeclared []string) {
	declared := []string{}
	for _, b := range c.blocks("variable") {
		declared = append(declared, b.Labels[0])
		if b.Body.Attributes["default"] == nil {
			required = append(required, b.Labels[0])
		}
	}
	for _, body := range c.body {
		for _, traversal := range findReferences(body) {
			if traversal.RootName() != "var" || len(traversal) < 2 {
				continue
			}
			if step, isName := traversal[1].(hcl.TraverseAttr); isName && !slices.Contains(declared, step.Name) {
				declared, undeclared = append(declared, step.Name), append(undeclared, step.Name)
			}
		}
	}
	return append(required, undeclared...), undeclared
}

// findReferences returns all references in a body.
func findReferences(body *hclsyntax.Body) (found []hcl.Traversal) {
	for _, attribute := range body.Attributes {
		found = append(found, attribute.Expr.Variables()...)
	}
	for _, b := range body.Blocks {
		found = append(found, findReferences(b.Body)...)
	}
	return found
}

// checkNames checks that the provider's schemas have all names of attributes in the blocks of the provider, or of the whole fragment.
func (c configuration) checkNames(t *testing.T, schemas *tfprotov6.GetProviderSchemaResponse) {
	t.Helper()
	if c.isFragment() {
		all := []*tfprotov6.Schema{schemas.Provider}
		for _, group := range []map[string]*tfprotov6.Schema{schemas.ResourceSchemas, schemas.DataSourceSchemas, schemas.EphemeralResourceSchemas} {
			for _, schema := range group {
				all = append(all, schema)
			}
		}
		if !slices.ContainsFunc(all, func(s *tfprotov6.Schema) bool {
			return len(unknownNames(c.body[0].Attributes, s.Block.Attributes)) == 0
		}) {
			t.Errorf("%s: no schema has all attributes of the fragment", c.name)
		}
	}
	for _, b := range c.blocks("provider", "resource", "data", "ephemeral") {
		schema := map[string]*tfprotov6.Schema{"provider": schemas.Provider}[b.Type]
		if b.Type != "provider" {
			group := map[string]map[string]*tfprotov6.Schema{
				"resource": schemas.ResourceSchemas, "data": schemas.DataSourceSchemas, "ephemeral": schemas.EphemeralResourceSchemas,
			}[b.Type]
			schema = group[b.Labels[0]]
		}
		if provider, _, _ := strings.Cut(b.Labels[0], "_"); provider != "brane" {
			continue
		}
		if schema == nil {
			t.Errorf("%s: there is no %s %s", c.name, b.Type, b.Labels[0])
			continue
		}
		if unknown := unknownNames(b.Body.Attributes, schema.Block.Attributes); len(unknown) > 0 {
			t.Errorf("%s: %s %s has no %s", c.name, b.Type, b.Labels[0], strings.Join(unknown, ", "))
		}
	}
}

var metaArguments = []string{"for_each", "count", "provider", "depends_on", "alias"}

// unknownNames returns the names of attributes that a schema does not have, also in nested objects that are literals.
func unknownNames(attributes hclsyntax.Attributes, schema []*tfprotov6.SchemaAttribute) (unknown []string) {
	for name, attribute := range attributes {
		at := slices.IndexFunc(schema, func(a *tfprotov6.SchemaAttribute) bool { return a.Name == name })
		switch {
		case slices.Contains(metaArguments, name):
		case at < 0:
			unknown = append(unknown, name)
		case schema[at].NestedType != nil:
			for _, inner := range unknownNestedNames(attribute.Expr, schema[at].NestedType) {
				unknown = append(unknown, name+"."+inner)
			}
		}
	}
	return unknown
}

func unknownNestedNames(value hclsyntax.Expression, nested *tfprotov6.SchemaObject) (unknown []string) {
	object, isObject := value.(*hclsyntax.ObjectConsExpr)
	if !isObject {
		return nil
	}
	for _, item := range object.Items {
		if nested.Nesting != tfprotov6.SchemaObjectNestingModeSingle {
			unknown = append(unknown, unknownNestedNames(item.ValueExpr, &tfprotov6.SchemaObject{Attributes: nested.Attributes, Nesting: tfprotov6.SchemaObjectNestingModeSingle})...)
			continue
		}
		if key := hcl.ExprAsKeyword(item.KeyExpr); key != "" {
			unknown = append(unknown, unknownNames(hclsyntax.Attributes{key: {Name: key, Expr: item.ValueExpr}}, nested.Attributes)...)
		}
	}
	return unknown
}
