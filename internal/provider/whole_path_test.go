package provider_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

const wordCount = acctest.InfrastructureConfig + `
resource "brane_workflow_run" "test" {
  name           = "words"
  infrastructure = brane_infrastructure.test.name
  inputs         = { "text" = { content = "the quick brown fox\njumps over the lazy dog\n" } }
  steps = {
    first  = { image = "$TOOLS", command = ["sh", "-c", "head -n 1 /data/text | wc -w > /data/first"] }
    second = { image = "$TOOLS", command = ["sh", "-c", "tail -n +2 /data/text | wc -w > /data/second"] }
    sum = {
      image   = "$TOOLS"
      command = ["sh", "-c", "echo $(( $(cat /data/first) + $(cat /data/second) )) > /data/words"]
      needs   = ["first", "second"]
    }
  }
  outputs = { words = { path = "words" } }
}
`

// The whole path: a namespace, its registration and a run, with somebody meddling with each of them.
func TestAccWholePath(t *testing.T) {
	t.Parallel()
	s, store := acctest.NewEnv(t), acctest.RedisClient(t)
	config := s.Config(t, wordCount)
	var id string
	counted := []statecheck.StateCheck{
		statecheck.ExpectKnownValue(acctest.RunAddress, tfjsonpath.New("outputs").AtMapKey("words").AtMapKey("content"), knownvalue.StringExact("9\n")),
	}
	flush := func() {
		s.AwaitJobsEnd(t)
		keys, err := acctest.RunKeys(t.Context(), store, id)
		acctest.NoError(t, err)
		acctest.NoError(t, store.Unlink(t.Context(), keys...).Err())
	}
	spoil := func() {
		acctest.NoError(t, store.SetArgs(t.Context(), "brane:"+id+":c:"+acctest.SHA256("9\n"), "10\n", redis.SetArgs{Mode: "XX", KeepTTL: true}).Err())
	}
	unbind := func() {
		acctest.NoError(t, s.Client.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "brane"}}))
	}
	registry := func(from, to string) func() {
		return func() { s.EditFile(t, "infra.yml", "registry: "+from, "registry: "+to) }
	}
	// As a cluster looks that was made anew at the same address: the registered credential is of the old one.
	anew := func() {
		files := infra.NewDirectoryStore(s.Directory, infra.V06)
		registration, err := infra.Lookup(t.Context(), files, s.Namespace)
		acctest.NoError(t, err)
		kubeconfig, err := credentials.Parse(registration.Kubeconfig)
		acctest.NoError(t, err)
		kubeconfig.CA = acctest.NewCA(t)
		rendered, err := credentials.Render(*kubeconfig)
		acctest.NoError(t, err)
		acctest.NoError(t, infra.Register(t.Context(), files, registration.Location, rendered))
		flush()
	}
	const elsewhere = "registry.example.org:5000"
	here := s.Config(t, "$REGISTRY")[len(s.ProviderBlock()):]
	unbound := acctest.ExpectDrift("brane_namespace.test", plancheck.ResourceActionUpdate, `RoleBinding "brane" is missing`).PreApply
	moved := []plancheck.PlanCheck{
		plancheck.ExpectResourceAction("brane_infrastructure.test", plancheck.ResourceActionUpdate),
		attributeChanges{"brane_infrastructure.test", "registry", elsewhere, here},
	}
	changed := acctest.ExpectDrift(acctest.RunAddress, plancheck.ResourceActionUpdate, `output "words" (words) was modified in Redis`).PreApply
	lost := acctest.ExpectDrift(acctest.RunAddress, plancheck.ResourceActionUpdate, `output "words" (words) was lost in Redis`).PreApply
	untouched := func(addresses ...string) (checks []plancheck.PlanCheck) {
		for _, address := range addresses {
			checks = append(checks, plancheck.ExpectResourceAction(address, plancheck.ResourceActionNoop))
		}
		return checks
	}
	step := func(meddle func(), checks ...[]plancheck.PlanCheck) resource.TestStep {
		var all []plancheck.PlanCheck
		for _, some := range checks {
			all = append(all, some...)
		}
		return resource.TestStep{
			PreConfig: meddle, Config: config, ConfigStateChecks: counted,
			// After the apply the framework plans twice more, once with a refresh, and wants both plans empty.
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: all},
			Check: func(state *terraform.State) (err error) {
				id, err = acctest.RunID(state)
				return err
			},
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		CheckDestroy: func(*terraform.State) error {
			return errors.Join(
				s.CheckGone(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}),
				checkNothingRegistered(context.Background(), s),
				acctest.CheckNoRedisKeys(context.Background(), store, id),
			)
		},
		Steps: []resource.TestStep{
			step(nil),
			// The probe finds as well that the account has lost its rights.
			step(unbind, unbound, []plancheck.PlanCheck{plancheck.ExpectResourceAction("brane_infrastructure.test", plancheck.ResourceActionUpdate)}, untouched(acctest.RunAddress)),
			step(registry(here, elsewhere), moved, untouched("brane_namespace.test", acctest.RunAddress)),
			step(spoil, changed, untouched("brane_namespace.test", "brane_infrastructure.test")),
			step(flush, lost, untouched("brane_namespace.test", "brane_infrastructure.test")),
			step(func() { unbind(); registry(here, elsewhere)(); flush() }, unbound, moved, lost),
			step(anew, []plancheck.PlanCheck{plancheck.ExpectResourceAction("brane_infrastructure.test", plancheck.ResourceActionUpdate)}, lost),
		},
	})
}

// checkNothingRegistered checks that neither of the control plane's files knows of the location.
func checkNothingRegistered(ctx context.Context, s acctest.Env) error {
	files, err := infra.NewDirectoryStore(s.Directory, infra.V06).Read(ctx)
	if err != nil {
		return err
	}
	if locations, secrets := files.Infra.Names(), files.Secrets.Names(); len(locations)+len(secrets) > 0 {
		return fmt.Errorf("the control plane still has locations %q and secrets %q", locations, secrets)
	}
	return nil
}

// attributeChanges checks that the refresh has found one value of an attribute and that the plan puts another in its place.
type attributeChanges struct{ address, attribute, from, to string }

func (a attributeChanges) CheckPlan(_ context.Context, req plancheck.CheckPlanRequest, resp *plancheck.CheckPlanResponse) {
	for _, change := range req.Plan.ResourceChanges {
		if change.Address != a.address {
			continue
		}
		for _, side := range []struct {
			values any
			want   string
		}{{change.Change.Before, a.from}, {change.Change.After, a.to}} {
			found, err := tfjsonpath.Traverse(side.values, tfjsonpath.New(a.attribute))
			if err == nil {
				err = knownvalue.StringExact(side.want).CheckValue(found)
			}
			resp.Error = errors.Join(resp.Error, err)
		}
		return
	}
	resp.Error = fmt.Errorf("the plan holds nothing about %s", a.address)
}
