package workflowrun_test

import (
	"context"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// registerLongLived registers a long-lived token, as brane_infrastructure does with credentials.long_lived, and returns it.
func registerLongLived(t *testing.T, s *heldrun.Run) *credentials.Kubeconfig {
	t.Helper()
	store := infra.NewDirectoryStore(s.Directory, infra.V06)
	registration, err := infra.Lookup(t.Context(), store, s.Namespace)
	acctest.NoError(t, err)
	kubeconfig, err := credentials.Parse(registration.Kubeconfig)
	acctest.NoError(t, err)
	token, err := credentials.CreateLongLivedToken(t.Context(), s.Client, s.Namespace, "brane")
	acctest.NoError(t, err)
	kubeconfig.Token = token.Value
	text, err := credentials.Render(*kubeconfig)
	acctest.NoError(t, err)
	acctest.NoError(t, infra.Register(context.WithoutCancel(t.Context()), store, registration.Location, text))
	return kubeconfig
}

// A rotation of the long-lived token that a run was submitted with revokes it, and disturbs no run: neither one that Terraform waits for, nor
// one of an engine, which has another token. The same holds for a token that is deleted without being replaced: the provider may request another.
func TestAccRunLifecycle_rotation(t *testing.T) {
	t.Parallel()
	rotate := func(t *testing.T, s *heldrun.Run, _ *credentials.Kubeconfig) {
		t.Helper()
		protocol := acctest.NewProtocol(t)
		protocol.RequireNoErrors(protocol.Configure(acctest.Object{"control_plane": acctest.Object{"directory": s.Directory}}, false).Diagnostics)
		said := protocol.Invoke("brane_rotate_credential", acctest.Object{"infrastructure": s.Namespace})
		if len(said) != 2 {
			t.Fatalf("the rotation printed %q", said)
		}
	}
	for name, tt := range map[string]struct {
		attributes string
		happens    func(t *testing.T, s *heldrun.Run, used *credentials.Kubeconfig)
	}{
		"rotated":  {"", rotate},
		"detached": {"wait = false", rotate},
		"revoked": {"", func(t *testing.T, s *heldrun.Run, used *credentials.Kubeconfig) {
			acctest.NoError(t, credentials.Revoke(t.Context(), s.Client, s.Namespace, used.TokenSecret()))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := heldrun.NewRun(t, name, tt.attributes, "/wait")
			used := registerLongLived(t, s)
			apply := heldrun.StartApply(t, s.CLI)
			s.AwaitSlowStep(t)
			tt.happens(t, s, used)
			awaitRejected(t, s, used)
			s.Server.Release()
			s.CheckErrors(t, apply, "")
			if tt.attributes != "" && s.AwaitEnd(t) != workflow.RunSucceeded {
				t.Error("the run has not succeeded")
			}
			s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
			s.CheckNothingLeft(t)
		})
	}
}

// awaitRejected waits until the API server does not accept a token any more, which it may have cached.
func awaitRejected(t *testing.T, s *heldrun.Run, used *credentials.Kubeconfig) {
	t.Helper()
	client, err := clients.NewKubernetes(used.Config())
	acctest.NoError(t, err)
	testenv.AwaitTrue(t, "the token to be rejected", func() bool {
		err := client.List(t.Context(), kube.List(&batchv1.JobList{}), s.Namespace, "")
		return apierrors.IsUnauthorized(err)
	})
}
