package inputs

import (
	"context"
	"fmt"
	"maps"
	slash "path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// FileSetReference validates the reference of a brane_file_set.
func FileSetReference() validator.String {
	return attribute.NewStringRule("file set reference", func(text string) []string {
		if _, err := files.ParseReference(text); err != nil {
			return []string{err.Error()}
		}
		return nil
	})
}

// noneBelowAnother rejects paths below the path of another file.
type noneBelowAnother struct{}

func (noneBelowAnother) Description(context.Context) string {
	return "no path lies below another one"
}

func (v noneBelowAnother) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (noneBelowAnother) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	inputs := req.ConfigValue.Elements()
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		for above := slash.Dir(name); above != "." && above != "/"; above = slash.Dir(above) {
			if _, found := inputs[above]; found {
				resp.Diagnostics.AddAttributeError(req.Path.AtMapKey(name), "Conflicting input paths",
					fmt.Sprintf("%q is below %q, which is a file. Change one of the paths.", name, above))
			}
		}
	}
}

// RelativePath validates a path below /data.
func RelativePath() validator.String {
	return attribute.NewStringRule("path below /data", func(name string) []string {
		switch {
		case strings.Contains(name, "\\") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return []string{"must hold no backslash and no control character"}
		case !filepath.IsLocal(name) || name != filepath.ToSlash(filepath.Clean(name)) || name == ".":
			return []string{"must be relative, without . and .., doubled or trailing slashes"}
		}
		return nil
	})
}
