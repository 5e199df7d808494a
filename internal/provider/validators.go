package provider

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

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

// cidr is an address range such as 198.51.100.0/24. Kubernetes wants it without bits beyond the prefix, so that it says what it means.
func cidr() validator.String {
	return textRule{description: "an address range", problems: func(text string) []string {
		prefix, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			return []string{"write it as 198.51.100.10/32 or 2001:db8::/32"}
		case prefix != prefix.Masked():
			return []string{"it has bits beyond its prefix; did you mean " + prefix.Masked().String() + "?"}
		default:
			return nil
		}
	}}
}

// kubernetesVersion is what Pod Security admission takes as a version.
func kubernetesVersion() validator.String {
	return textRule{description: "a Kubernetes version", problems: func(text string) []string {
		major, minor, ok := strings.Cut(strings.TrimPrefix(text, "v"), ".")
		number := func(text string) bool { _, err := strconv.ParseUint(text, 10, 16); return err == nil }
		if text == "latest" || ok && strings.HasPrefix(text, "v") && number(major) && number(minor) {
			return nil
		}
		return []string{"write it as v1.35, or latest"}
	}}
}

// durationAtLeast checks a duration's size, which is also told in words; that it is a duration is checked by its type.
func durationAtLeast(limit time.Duration, words string) validator.String {
	return textRule{description: "at least " + words, problems: func(text string) []string {
		if d, err := time.ParseDuration(text); err == nil && d < limit {
			return []string{"must be at least " + words}
		}
		return nil
	}}
}
