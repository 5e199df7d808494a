package attribute

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/redact"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// stringRule validates a string with a function that returns its problems, one sentence per item.
type stringRule struct {
	kind     string
	problems func(string) []string
	isSecret bool
}

// NewStringRule returns a validator. kind is the kind of the value, such as "DNS label"; problems returns one sentence per problem of a value.
func NewStringRule(kind string, problems func(string) []string) validator.String {
	return stringRule{kind, problems, false}
}

// NewSecretRule returns a validator whose messages do not contain the value.
func NewSecretRule(kind string, problems func(string) []string) validator.String {
	return stringRule{kind, problems, true}
}

func (r stringRule) Description(context.Context) string             { return "must be a valid " + r.kind }
func (r stringRule) MarkdownDescription(ctx context.Context) string { return r.Description(ctx) }

func (r stringRule) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	value := req.ConfigValue.ValueString()
	problems := r.problems(value)
	if len(problems) == 0 {
		return
	}
	// The CLI does not print the path of a value in a map or in a nested attribute.
	detail := fmt.Sprintf("%s is not valid: %s.", req.Path, strings.Join(problems, "; "))
	if !r.isSecret {
		detail = fmt.Sprintf("%s is %q: %s.", req.Path, redact.HideUserInfo(value), strings.Join(problems, "; "))
	}
	resp.Diagnostics.AddAttributeError(req.Path, "Invalid "+r.kind, detail)
}

// OneOf validates that a value is one of several. Unlike the validator of the framework, its message contains no password.
func OneOf(values ...string) validator.String {
	return NewStringRule("value", func(text string) []string {
		if slices.Contains(values, text) {
			return nil
		}
		return []string{"must be one of " + strings.Join(values, ", ")}
	})
}

// DNSLabel validates a DNS label (RFC 1123), such as the name of a namespace.
func DNSLabel() validator.String {
	return NewStringRule("DNS label", validation.IsDNS1123Label)
}

// CIDR validates an address range such as 198.51.100.0/24, by the rules of the API server for new objects.
func CIDR() validator.String { return NewStringRule("address range", cidrProblems) }

func cidrProblems(text string) []string {
	var problems []string
	for _, problem := range validation.IsValidCIDRForLegacyField(nil, text, true, nil) {
		problems = append(problems, problem.Detail)
	}
	if len(problems) == 0 {
		return nil
	}
	// The usual mistakes have an obvious correction.
	if prefix, err := netip.ParsePrefix(text); err == nil && !prefix.Addr().Is4In6() {
		return []string{"it has bits beyond its prefix; did you mean " + prefix.Masked().String() + "?"}
	}
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" && !address.Is4In6() {
		return []string{"it has no prefix length; did you mean " + netip.PrefixFrom(address, address.BitLen()).String() + "?"}
	}
	return append(problems, "write addresses, not names, as 198.51.100.10/32 or 2001:db8::/32")
}

// KubernetesVersion validates a version for Pod Security admission.
func KubernetesVersion() validator.String {
	return NewStringRule("Kubernetes version", versionProblems)
}

// podSecurityVersion is the form that Pod Security admission reads (k8s.io/pod-security-admission/api).
var podSecurityVersion = regexp.MustCompile(`^v1\.([0-9]|[1-9][0-9]*)$`)

func versionProblems(text string) []string {
	if text == "latest" || podSecurityVersion.MatchString(text) {
		return nil
	}
	return []string{"write it as v1.35, or latest"}
}

// DurationAtLeast validates the minimum of a duration; words is the minimum in words. The type of the attribute validates the format.
func DurationAtLeast(limit time.Duration, words string) validator.String {
	return NewStringRule("duration", func(text string) []string {
		if d, err := time.ParseDuration(text); err == nil && d < limit {
			return []string{"must be at least " + words}
		}
		return nil
	})
}

// DNSSubdomain validates a name by Kubernetes' rule for most objects.
func DNSSubdomain() validator.String {
	return NewStringRule("object name", validation.IsDNS1123Subdomain)
}

// SecretKey validates a key of a Secret.
func SecretKey() validator.String {
	return NewStringRule("Secret key", validation.IsConfigMapKey)
}

// AbsolutePath validates a path in a container, which runs Linux on every platform of Terraform.
func AbsolutePath() validator.String {
	return NewStringRule("absolute path", func(name string) []string {
		if !strings.HasPrefix(name, "/") || strings.ContainsRune(name, 0) {
			return []string{"must be an absolute path"}
		}
		return nil
	})
}

// RunName validates the name of a run or of a file set.
func RunName() validator.String {
	return NewStringRule("run name", func(name string) []string {
		if problem := workflow.CheckName(name); problem != "" {
			return []string{problem}
		}
		return nil
	})
}
