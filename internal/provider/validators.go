package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"k8s.io/apimachinery/pkg/util/validation"
)

// textRule checks a text by a function that returns what is wrong with it, a sentence each.
type textRule struct {
	description string
	problems    func(string) []string
}

func (r textRule) Description(context.Context) string         { return r.description }
func (r textRule) MarkdownDescription(context.Context) string { return r.description }

func (r textRule) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if problems := r.problems(req.ConfigValue.ValueString()); len(problems) > 0 {
		resp.Diagnostics.AddAttributeError(req.Path, "Value is not "+r.description,
			fmt.Sprintf("%q: %s.", req.ConfigValue.ValueString(), strings.Join(problems, "; ")))
	}
}

// dnsLabel is Kubernetes' own rule for the names of namespaces and of what becomes part of other names (RFC 1123).
func dnsLabel() validator.String {
	return textRule{description: "a DNS label", problems: validation.IsDNS1123Label}
}
