package infrastructure_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/disturb"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// startClusterProxy starts a proxy that serves two clusters, which are the same, at the paths /k8s/clusters/c-1 and c-2, as Rancher does.
func startClusterProxy(t *testing.T, i instance) *httptest.Server {
	t.Helper()
	config, err := kube.Connection{ConfigPath: i.Getenv(t, acctest.KubeconfigVariable)}.Config()
	acctest.NoError(t, err)
	forward, err := disturb.NewForwarder(config)
	acctest.NoError(t, err)
	clusters := http.NewServeMux() // answers other paths with 404
	for _, path := range []string{"/k8s/clusters/c-1", "/k8s/clusters/c-2"} {
		clusters.Handle(path+"/", http.StripPrefix(path, forward))
	}
	server := httptest.NewTLSServer(clusters)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server
}

// TestAccInfrastructure_serverPath registers clusters whose API server has a path in its URL, which infra.yml cannot contain: the kubeconfig does.
func TestAccInfrastructure_serverPath(t *testing.T) {
	t.Parallel()
	i := newInstance(t)
	server := startClusterProxy(t, i)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config := func(path string) string {
		connection := fmt.Sprintf("provider \"brane\" {\n  kubernetes = {\n    host = %q\n    cluster_ca_certificate = %q\n  }\n", server.URL+path, authority)
		return strings.Replace(i.hcl(t, strings.Replace(smallestInfrastructure, `"submit"`, `"run"`, 1)+`
resource "brane_workflow_run" "test" {
  name           = "path"
  infrastructure = brane_infrastructure.test.name
  steps          = { only = { image = "`+i.Getenv(t, "BRANE_TOOLS_IMAGE")+`", command = ["true"] } }
}
`), "provider \"brane\" {\n", connection, 1)
	}
	registersAt := func(path string) resource.TestCheckFunc {
		return func(*terraform.State) error {
			kubeconfig, err := credentials.Parse(i.kubeconfig(t, "compute"))
			if err == nil && kubeconfig.Server != server.URL+path {
				err = fmt.Errorf("the registered server is %s, not %s%s", kubeconfig.Server, server.URL, path)
			}
			return err
		}
	}
	isRun := []statecheck.StateCheck{acctest.ExpectRunValue("status", knownvalue.StringExact("succeeded"))}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config("/k8s/clusters/c-1"), Check: registersAt("/k8s/clusters/c-1"), ConfigStateChecks: isRun},
			{Config: config("/k8s/clusters/c-1/"), ConfigPlanChecks: emptyPlan()},
			{Config: config("/k8s/clusters/c-2"), ConfigPlanChecks: plannedUpdate(), Check: registersAt("/k8s/clusters/c-2")},
		},
	})
}
