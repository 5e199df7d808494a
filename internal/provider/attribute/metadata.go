package attribute

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
)

// NewLabels returns the attribute of an object's labels.
func NewLabels(description string) schema.MapAttribute { return newMetadata(description, Labels()) }

// NewAnnotations returns the attribute of an object's annotations.
func NewAnnotations(description string) schema.MapAttribute {
	return newMetadata(description, Annotations())
}

func newMetadata(description string, valid validator.Map) schema.MapAttribute {
	return schema.MapAttribute{MarkdownDescription: description, ElementType: types.StringType, Optional: true, Validators: []validator.Map{valid}}
}

// Labels validates the keys and values of labels, also of those that a selector requires.
func Labels() validator.Map {
	return mapvalidator.All(
		mapvalidator.KeysAre(NewStringRule("label key", validation.IsQualifiedName)),
		mapvalidator.ValueStringsAre(NewStringRule("label value", validation.IsValidLabelValue)),
	)
}

// Annotations validates the keys of annotations and the size of all together. Every text is a valid value.
func Annotations() validator.Map {
	return mapvalidator.All(mapvalidator.KeysAre(NewStringRule("annotation key", annotationKeyProblems)), annotationsSize{})
}

// annotationKeyProblems returns the problems of a key; in contrast to labels, upper and lower case are the same.
func annotationKeyProblems(key string) []string {
	return validation.IsQualifiedName(strings.ToLower(key))
}

// annotationsSize limits the size of all annotations of an object.
type annotationsSize struct{}

func (annotationsSize) Description(context.Context) string {
	return fmt.Sprintf("must not exceed %d bytes in total", apivalidation.TotalAnnotationSizeLimitB)
}
func (v annotationsSize) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (annotationsSize) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	size := 0
	for key, value := range req.ConfigValue.Elements() {
		size += len(key)
		if text, ok := value.(types.String); ok {
			size += len(text.ValueString())
		}
	}
	if size > apivalidation.TotalAnnotationSizeLimitB {
		resp.Diagnostics.AddAttributeError(req.Path, "Annotations too large", fmt.Sprintf(
			"%s has %d bytes of keys and values; an object can have at most %d.", req.Path, size, apivalidation.TotalAnnotationSizeLimitB))
	}
}

// MergeTexts merges the known strings of two maps; the first takes precedence.
func MergeTexts(own, otherwise types.Map) map[string]string {
	texts := map[string]string{}
	for _, entries := range []types.Map{otherwise, own} {
		for key, value := range entries.Elements() {
			if text, ok := value.(types.String); ok && !text.IsUnknown() {
				texts[key] = text.ValueString()
			}
		}
	}
	return texts
}

// RefuseKeys adds an error for each key of labels or annotations that the attribute may not set; reason returns why, without its full stop,
// and nothing for keys that are allowed. It is a function instead of a validator, so that values that are not known in the plan are checked
// before they are sent.
func RefuseKeys(at path.Path, entries types.Map, reason func(key, value string) string, diags *diag.Diagnostics) {
	for key, value := range entries.Elements() {
		text, ok := value.(types.String)
		if !ok || text.IsNull() || text.IsUnknown() {
			continue
		}
		if why := reason(key, text.ValueString()); why != "" {
			at := at.AtMapKey(key)
			diags.AddAttributeError(at, "Reserved key", fmt.Sprintf("%s: %s.", at, why))
		}
	}
}
