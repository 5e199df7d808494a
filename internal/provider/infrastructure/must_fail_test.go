package infrastructure_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// theirs is a location that Terraform does not manage and that Brane 0.6 can read.
const theirs = `locations:
  theirs:
    kind: kube
    address: 203.0.113.7:6443
    callback_to: http://198.51.100.10:50052
    namespace: brane
    registry: 198.51.100.10:50050
    credentials:
      mechanism: config
      file: s$theirs
`

// Brane rejects the whole file if one location is invalid, so that adding a location to such a file is an error; the file is not changed.
func TestAccInfrastructure_filesThatBraneRefuses(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	createNamespace(t, i.Env, nil)
	config := i.hcl(t, alone(`{ service_account = "brane" }`))
	changed := func(from, to string) string {
		if !strings.Contains(theirs, from) {
			t.Fatalf("the location holds no %q", from)
		}
		return strings.Replace(theirs, from, to, 1)
	}
	for name, tt := range map[string]struct{ text, where string }{
		"a kind in upper case":            {changed("kind: kube", "kind: Kube"), `infra\.yml:\d+:\d+:`},
		"a mechanism in upper case":       {changed("mechanism: config", "mechanism: Config"), `infra\.yml:\d+:\d+:`},
		"no registry":                     {changed("    registry: 198.51.100.10:50050\n", ""), `infra\.yml:\d+:\d+:`},
		"a namespace that is a number":    {changed("namespace: brane", "namespace: 123"), `infra\.yml:\d+:\d+:`},
		"two documents":                   {theirs + "---\n" + theirs, `infra\.yml:\d+:\d+:`},
		"locations that hold nothing":     {"locations:\n", `infra\.yml:\d+:\d+:`},
		"one key of a location two times": {theirs + "    proxy_address: a\n    proxy_address: b\n", `infra\.yml:\d+:\d+:`},
	} {
		t.Run(name, func(t *testing.T) {
			i.put(t, "infra.yml", tt.text)
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				Steps: []resource.TestStep{{
					Config: config, ExpectError: regexp.MustCompile(`Failed to register location[\s\S]*` + tt.where + `[\s\S]*Nothing\s+was\s+written`),
				}},
			})
			if got := i.get(t, "infra.yml"); got != tt.text {
				t.Errorf("the file was changed to\n%s", got)
			}
		})
	}
}
