package attribute

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

// ImageReference validates the name of a container image with the function that the kubelet uses.
func ImageReference() validator.String { return NewStringRule("image reference", ImageProblems) }

// ImageProblems returns what is wrong with the name of a container image.
func ImageProblems(text string) []string {
	_, err := reference.ParseNormalizedNamed(text)
	if err == nil {
		return nil
	}
	const form = "write it as registry.example.org/team/image:tag or registry.example.org/team/image@sha256:<64 hexadecimal digits>"
	if scheme, rest, found := strings.Cut(text, "://"); found {
		problem := fmt.Sprintf("an image has no scheme such as %s://", scheme)
		if len(ImageProblems(rest)) == 0 { // a URL may contain a password
			return []string{fmt.Sprintf("%s; did you mean %q?", problem, rest)}
		}
		return []string{problem + "; " + form}
	}
	if trimmed := strings.TrimSpace(text); trimmed != text && len(ImageProblems(trimmed)) == 0 {
		return []string{fmt.Sprintf("it begins or ends with white space; did you mean %q?", trimmed)}
	}
	if lower := strings.ToLower(text); lower != text && len(ImageProblems(lower)) == 0 {
		return []string{fmt.Sprintf("%v; did you mean %q?", err, lower)}
	}
	return []string{fmt.Sprintf("%v; %s", err, form)}
}
