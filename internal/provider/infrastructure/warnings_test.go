package infrastructure_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Allowed but questionable settings are a warning of the apply that registers them and of every later plan.
func TestAccInfrastructure_warnings(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	i.submitters(t, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"})
	role := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: i.Namespace},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: i.Namespace, Name: "brane"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}
	acctest.NoError(t, i.Client.Create(t.Context(), role))
	t.Cleanup(func() { acctest.NoError(t, i.Client.Delete(context.Background(), role)) })
	kubeconfig, err := credentials.Parse(i.token(t, "brane"))
	acctest.NoError(t, err)
	client, err := kube.New(kubeconfig.Config())
	acctest.NoError(t, err)
	eventually(t, func() error { // until the API server's authorizer knows of the role
		return client.Get(context.Background(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: i.Namespace}})
	})

	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"control_plane": acctest.Object{"directory": i.Directory, "brane_version": "0.6.0"}}, false).Diagnostics)
	config := acctest.Object{
		"name": "compute", "namespace": i.Namespace, "registry": "198.51.100.10:50050", "callback_to": "http://198.51.100.10:50052",
		"credentials": acctest.Object{"service_account": "brane"},
	}
	// The CLI proposes the defaults of computed attributes as null.
	plan := s.Plan("brane_infrastructure", config, false)
	says(t, plan.Diagnostics, "WARNING: Brane 0.6.0 must be rebuilt: ", "rebuild the images")
	schema := s.Schemas.ResourceSchemas["brane_infrastructure"]
	applied, err := s.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: "brane_infrastructure", Config: s.EncodeObject(schema, config), PriorState: s.EncodeNull(schema), PlannedState: plan.PlannedState, PlannedPrivate: plan.PlannedPrivate,
		PlannedIdentity: plan.PlannedIdentity,
	})
	acctest.NoError(t, err)
	s.RequireNoErrors(applied.Diagnostics)
	doubts := []string{
		`WARNING, AttributeName("credentials"): Registered credentials are over-privileged: `, "it may do everything in the whole cluster (cluster-admin)",
		`WARNING, AttributeName("namespace"): Namespace rejects Brane's Jobs: `, `enforces the Pod Security level "baseline"`,
	}
	says(t, applied.Diagnostics, doubts...)
	read, err := s.ReadResource(t.Context(), &tfprotov6.ReadResourceRequest{TypeName: "brane_infrastructure", CurrentState: applied.NewState, CurrentIdentity: applied.NewIdentity, Private: applied.Private})
	acctest.NoError(t, err)
	s.RequireNoErrors(read.Diagnostics)
	says(t, read.Diagnostics, doubts...)
	again, err := s.PlanResourceChange(t.Context(), &tfprotov6.PlanResourceChangeRequest{
		TypeName: "brane_infrastructure", Config: s.EncodeObject(schema, config), PriorState: read.NewState, ProposedNewState: read.NewState, PriorIdentity: read.NewIdentity, PriorPrivate: read.Private,
	})
	acctest.NoError(t, err)
	if said := acctest.FormatDiagnostics(again.Diagnostics); said != "" {
		t.Errorf("where nothing changes a plan says\n%s", said)
	}
}

// says checks that the diagnostics contain all these texts.
func says(t *testing.T, diagnostics []*tfprotov6.Diagnostic, want ...string) {
	t.Helper()
	said := acctest.FormatDiagnostics(diagnostics)
	for _, part := range want {
		if !strings.Contains(said, part) {
			t.Errorf("it does not say %q but\n%s", part, said)
		}
	}
}
