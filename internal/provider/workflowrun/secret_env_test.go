package workflowrun_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// A CLI prints "(write-only attribute)" for each write-only attribute, set or not. In a run there is one, outside of the steps.
func TestARunHasOneWriteOnlyAttribute(t *testing.T) {
	var found []string
	var collect func(at string, attributes []*tfprotov6.SchemaAttribute)
	collect = func(at string, attributes []*tfprotov6.SchemaAttribute) {
		for _, attribute := range attributes {
			if attribute.WriteOnly {
				found = append(found, at+attribute.Name)
			}
			if attribute.NestedType != nil {
				collect(at+attribute.Name+".", attribute.NestedType.Attributes)
			}
		}
	}
	collect("", acctest.NewProtocol(t).Schemas.ResourceSchemas["brane_workflow_run"].Block.Attributes)
	if got := strings.Join(found, " "); got != "secret_env_wo" {
		t.Errorf("the write-only attributes are %s", got)
	}
}
