package workflowrun_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	corev1 "k8s.io/api/core/v1"
	kuberesource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// limitMemory lets a LimitRange limit the memory of every container in the namespace of a test.
func limitMemory(t *testing.T, s acctest.Env, largest string) {
	t.Helper()
	list := corev1.ResourceList{corev1.ResourceMemory: kuberesource.MustParse(largest)}
	acctest.NoError(t, s.Client.Create(t.Context(), &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "largest"},
		Spec:       corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: list}}},
	}))
}

// The containers of the agent and of the engine fit a namespace that allows little.
func TestAccWorkflowRun_limitRange(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	limitMemory(t, s, "100Mi")
	const step = `steps = { hello = { image = "$TOOLS", command = ["sh", "-c", "cat /data/in > /data/out"], resources = { requests = { memory = "32Mi" }, limits = { memory = "64Mi" } } } }
  inputs          = { "in" = { content = "hello" } }
  outputs         = { out = { path = "out" } }
  agent_injection = "init_container"`
	check := []statecheck.StateCheck{acctest.ExpectRunValue("outputs", knownvalue.MapExact(map[string]knownvalue.Check{"out": acctest.ExpectOutput("out", "hello")}))}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: s.RunConfig(t, "limited", step), ConfigStateChecks: check},
			{Config: s.RunConfig(t, "limited-engine", "wait = false\n"+step)},
			{Config: s.RunConfig(t, "limited-engine", step), ConfigStateChecks: check},
		},
	})
}

// A namespace that the engine does not fit, and one that the step does not fit, are errors with the cause.
func TestAccWorkflowRun_limitRangeTooSmall(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	s.RegisterInfrastructure(t)
	limitMemory(t, s, "48Mi")
	t.Run("engine", func(t *testing.T) {
		acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, "small", `wait = false
  steps = { hello = { image = "$TOOLS", command = ["true"], resources = { limits = { memory = "40Mi" } } } }`)},
			[]string{"Engine does not fit namespace", "nothing was created: the engine (wait = false) needs 64Mi of memory at least, but in the namespace a LimitRange allows 48Mi: raise that.", "set wait = true"},
		)
	})
	t.Run("step", func(t *testing.T) {
		acctest.ExpectError(t, resource.TestStep{Config: s.RunConfig(t, "large", `startup_timeout = "1s"
  steps = { hello = { image = "$TOOLS", command = ["true"], resources = { limits = { memory = "64Mi" } } } }`)},
			[]string{"maximum memory usage per Container is 48Mi, but limit is 64Mi.", "A LimitRange of the namespace denies it. Change requests and limits (resources of the step"},
		)
	})
}
