package workflowrun

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// A run that was found in a cluster has the name of that only if its configuration may have it.
func TestFoundRunHasAValidCluster(t *testing.T) {
	text := types.StringValue
	for name, tt := range map[string]struct {
		model workflowRunModel
		want  types.String
	}{
		"without an infrastructure":                             {workflowRunModel{Namespace: text("ns"), Cluster: text("former")}, text("berlin")},
		"with registered credentials":                           {workflowRunModel{Namespace: text("ns"), Infrastructure: text("i")}, types.StringNull()},
		"with registered credentials, which are set":            {workflowRunModel{Namespace: text("ns"), Infrastructure: text("i"), SubmitWith: text(submitRegistered)}, types.StringNull()},
		"with an infrastructure, and submitted by the provider": {workflowRunModel{Namespace: text("ns"), Infrastructure: text("i"), SubmitWith: text(submitProvider)}, text("berlin")},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.model.moveTo(place{Namespace: text("ns"), Cluster: text("berlin")})
			var diags diag.Diagnostics
			if tt.model.checkSubmit(&diags); err != nil || !tt.model.Cluster.Equal(tt.want) || len(diags) > 0 {
				t.Errorf("the cluster is %s, want %s; %v %v", tt.model.Cluster, tt.want, err, diags)
			}
		})
	}
}
