package provider_test

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// The tests of this package would show nothing about the documented rights if the provider had more.
func TestAccOwnRights(t *testing.T) {
	t.Parallel()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, acctest.KubeconfigVariable)}.Config()
	acctest.NoError(t, err)
	client, err := kube.New(config)
	acctest.NoError(t, err)
	var roles rbacv1.ClusterRoleList
	if err := client.List(t.Context(), &roles, "", ""); err == nil || !strings.Contains(err.Error(), `cannot list resource "clusterroles"`) {
		t.Errorf("the account that the provider has in tests may list ClusterRoles: %v", err)
	}
}
