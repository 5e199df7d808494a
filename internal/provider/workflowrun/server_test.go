package workflowrun_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"k8s.io/apimachinery/pkg/util/version"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// newServerOfVersion returns the address of a proxy in front of the API server that claims to have this version.
func newServerOfVersion(t *testing.T, claimed string) string {
	t.Helper()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, acctest.KubeconfigVariable)}.Config()
	acctest.NoError(t, err)
	forwarder, err := disturb.NewForwarder(config)
	acctest.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" {
			_, _ = io.WriteString(w, fmt.Sprintf(`{"gitVersion": %q}`, claimed))
			return
		}
		forwarder.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections() // watches would keep it open
		server.Close()
	})
	return server.URL
}

// versionedConfig returns a run in a namespace on the server, with more attributes.
func versionedConfig(t *testing.T, s acctest.Env, server, namespace, more string) string {
	t.Helper()
	return fmt.Sprintf("provider \"brane\" {\n  kubernetes = { host = %q, token = \"unused\" }\n}\n", server) + s.Config(t, fmt.Sprintf(`
resource "brane_workflow_run" "test" {
  name      = "versioned"
  namespace = %q
  %s
}`, namespace, more))[len(s.ProviderBlock()):]
}

// Attributes that an API server does not know, or has disabled, are errors before anything is created: it would drop their fields silently.
func TestAccWorkflowRun_serverVersion(t *testing.T) {
	t.Parallel()
	s, namespace := acctest.NewEnv(t), clustertest.Namespace(t)
	server, err := s.Client.ServerVersion(t.Context())
	acctest.NoError(t, err)

	old := newServerOfVersion(t, "v1.30.14-vendor")
	answer := "The API server at " + old + " is Kubernetes 1.30.14 and does not have this field."
	acctest.ExpectError(t, resource.TestStep{Config: versionedConfig(t, s, old, namespace, `
  agent_injection = "image_volume"
  defaults = { image = "$TOOLS", resource_claims = { gpu = { resource_claim_name = "gpu" } } }
  steps = {
    one = { command = ["true"] }
    two = { command = ["true"], resource_claims = { gpu = { resource_claim_name = "other" } }, pod_patch = "spec: {hostnameOverride: two}" }
  }`)}, []string{
		`agent_injection sets spec.volumes[].image in the pods of step "one", which requires Kubernetes 1.35 or later, or 1.31 or later with the feature gate ImageVolume. ` + answer,
		`defaults.resource_claims sets spec.resourceClaims in the pods of step "one", which requires Kubernetes 1.34 or later, or 1.31 or later with the feature gate DynamicResourceAllocation. ` + answer,
		`steps["two"].resource_claims sets spec.resourceClaims in the pods of step "two"`,
		`steps["two"].pod_patch sets spec.hostnameOverride in the pods of step "two", which requires Kubernetes 1.35 or later`,
	})
	acctest.NoError(t, (acctest.Env{Client: s.Client, Namespace: namespace}).CheckNoRunObjects(t.Context()))

	// Kubernetes 1.30 knows this field, and 1.33 has enabled its feature gate: the answer is that of the server.
	resizes := `
  steps = { one = { image = "$TOOLS", command = ["true"], pod_patch = "spec: {containers: [{name: step, resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]}]}" } }`
	step := resource.TestStep{Config: versionedConfig(t, s, old, namespace, resizes)}
	if !server.AtLeast(version.MajorMinor(1, 33)) {
		acctest.ExpectError(t, step, []string{`steps["one"].pod_patch sets spec.containers[].resizePolicy`, "with the feature gate InPlacePodVerticalScaling", "has this feature gate disabled"})
		return
	}
	step.ConfigStateChecks = []statecheck.StateCheck{acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded"))}
	resource.Test(t, resource.TestCase{ProtoV6ProviderFactories: acctest.ProviderFactories, Steps: []resource.TestStep{step}})
}
