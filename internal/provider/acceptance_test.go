package provider_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

// The provider runs in the test's own process, for the CLI that TF_ACC_TERRAFORM_PATH names.
var inProcess = map[string]func() (tfprotov6.ProviderServer, error){
	"brane": providerserver.NewProtocol6WithError(provider.New("test")()),
}

// setting is one test's place: a namespace name of its own, and a folder in which the Brane instance would keep its files.
type setting struct {
	client    *kube.Client // an administrator
	namespace string
	folder    string
	own       *clustertest.Cluster // the test's own cluster; nil is the one of all tests
}

// variable is one of the cluster's environment.
func (s setting) variable(t *testing.T, name string) string {
	t.Helper()
	if s.own != nil {
		return s.own.Variable(t, name)
	}
	return clustertest.Getenv(t, name)
}

func newSetting(t *testing.T) setting {
	t.Helper()
	if os.Getenv("TF_ACC") == "" {
		t.Fatal("acceptance tests run with TF_ACC=1; `make test` sets it")
	}
	return setting{client: clustertest.Client(t), namespace: clustertest.Name("acc"), folder: t.TempDir()}
}

// provider is the provider block; all but the control plane comes from the environment of the test cluster, and the account from [ownKubeconfig].
func (s setting) provider() string {
	return fmt.Sprintf("provider \"brane\" {\n  control_plane = { directory = %q }\n}\n", s.folder)
}

// hcl is a configuration with the provider block in front; $NAMESPACE, $TOOLS and $REGISTRY stand for what they say.
func (s setting) hcl(t *testing.T, body string) string {
	t.Helper()
	return s.provider() + strings.NewReplacer(
		"$NAMESPACE", s.namespace,
		"$TOOLS", s.variable(t, "BRANE_TOOLS_IMAGE"),
		"$REGISTRY", s.variable(t, "BRANE_REGISTRY"),
	).Replace(body)
}

func (s setting) file(name string) string { return filepath.Join(s.folder, name) }

// edit replaces text in one of the control plane's files, as somebody with an editor would.
func (s setting) edit(t *testing.T, name, from, to string) {
	t.Helper()
	data, err := os.ReadFile(s.file(name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s holds no %q:\n%s", name, from, data)
	}
	if err := os.WriteFile(s.file(name), []byte(strings.Replace(string(data), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// gone checks that an object is not there any more.
func (s setting) gone(objects ...kube.Object) error {
	for _, object := range objects {
		if err := s.client.Get(context.Background(), object); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is still there (%w)", kube.Describe(object), err)
		}
	}
	return nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
