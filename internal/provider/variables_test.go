package provider_test

import (
	"regexp"
	"strings"
	"testing"

	frameworkprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"

	"github.com/braneframework/terraform-provider-brane/internal/provider"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// environmentOf finds the environment variable in the description of an attribute.
var environmentOf = regexp.MustCompile("Can also be set with the `(\\w+)` environment variable")

// TestVariablesAreValidatedLikeAttributes walks the schema of the provider block: what is an error in an attribute is also an error in its environment variable,
// and the message names the variable.
func TestVariablesAreValidatedLikeAttributes(t *testing.T) {
	var described frameworkprovider.SchemaResponse
	provider.New("test")().Schema(t.Context(), frameworkprovider.SchemaRequest{}, &described)
	variables := map[string][]string{} // the path of the attribute
	collect := func(attributes map[string]schema.Attribute, parents ...string) {
		for name, attribute := range attributes {
			if _, isString := attribute.(schema.StringAttribute); !isString {
				continue
			}
			if found := environmentOf.FindStringSubmatch(attribute.GetMarkdownDescription()); found != nil {
				variables[found[1]] = append(parents, name)
			}
		}
	}
	collect(described.Schema.Attributes)
	for name, attribute := range described.Schema.Attributes {
		if block, isBlock := attribute.(schema.SingleNestedAttribute); isBlock {
			collect(block.Attributes, name)
		}
	}
	rejected := 0
	for variable, path := range variables {
		t.Run(variable, func(t *testing.T) {
			for other := range variables {
				t.Setenv(other, "")
			}
			for _, value := range []string{"ftp://a b", "A B\n", " x", "https://", "-----BEGIN"} {
				setEnvironment(t, nil)
				t.Setenv(variable, "")
				if !strings.Contains(configure(t, path, value), "is not valid: ") {
					continue
				}
				rejected++
				t.Setenv(variable, value)
				if got := configure(t, path, ""); !strings.Contains(got, "The value of the environment variable "+variable+" is not valid: ") {
					t.Errorf("%q is an error of %s but not of %s:\n%s", value, strings.Join(path, "."), variable, got)
				}
			}
		})
	}
	if rejected < 20 {
		t.Errorf("only %d values were rejected by attributes: the test does not recognise them any more", rejected)
	}
}

// configure returns the diagnostics of a provider block with one attribute; an empty value is not set.
func configure(t *testing.T, path []string, value string) string {
	t.Helper()
	block := acctest.Object{}
	if value != "" {
		block[path[len(path)-1]] = value
		if len(path) == 2 {
			block = acctest.Object{path[0]: block}
		}
	}
	return validate(t, acctest.NewProtocol(t), block)
}
