package acctest

import (
	"context"
	"crypto/rand"
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
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// ProviderFactories starts the provider in the process of the test, for the CLI that TF_ACC_TERRAFORM_PATH names.
var ProviderFactories = map[string]func() (tfprotov6.ProviderServer, error){
	"brane": providerserver.NewProtocol6WithError(provider.New("dev")()),
}

// Env is the environment of one test: the unique name of a namespace, and a directory for the configuration files of the Brane instance.
type Env struct {
	Client     *kube.Client // an administrator
	Namespace  string
	Directory  string
	OwnCluster *clustertest.Cluster // the test's own cluster; nil is the one of all tests
}

// Getenv returns a variable of the cluster's environment.
func (s Env) Getenv(t *testing.T, name string) string {
	t.Helper()
	if s.OwnCluster != nil {
		return s.OwnCluster.Variable(t, name)
	}
	return clustertest.Getenv(t, name)
}

// NewEnv returns an environment on the shared test cluster. It skips the test unless TF_ACC is set.
func NewEnv(t *testing.T) Env {
	t.Helper()
	testenv.RequireAcceptance(t)
	return Env{Client: clustertest.Client(t), Namespace: clustertest.Name("acc"), Directory: t.TempDir()}
}

// ProviderBlock returns the provider block. It sets the control plane; the environment of the test cluster and [KubeconfigVariable] set everything else.
func (s Env) ProviderBlock() string {
	return fmt.Sprintf("provider \"brane\" {\n  control_plane = { directory = %q }\n}\n", s.Directory)
}

// Config returns a configuration that begins with the provider block. It replaces $NAMESPACE, $TOOLS and $REGISTRY.
func (s Env) Config(t *testing.T, body string) string {
	t.Helper()
	return s.ProviderBlock() + strings.NewReplacer(
		"$NAMESPACE", s.Namespace,
		"$TOOLS", s.Getenv(t, "BRANE_TOOLS_IMAGE"),
		"$REGISTRY", s.Getenv(t, "BRANE_REGISTRY"),
	).Replace(body)
}

// ControlPlaneFile returns the path of a configuration file of the Brane instance.
func (s Env) ControlPlaneFile(name string) string { return filepath.Join(s.Directory, name) }

// EditFile replaces text in a configuration file of the Brane instance, as an operator with an editor does.
func (s Env) EditFile(t *testing.T, name, from, to string) {
	t.Helper()
	data, err := os.ReadFile(s.ControlPlaneFile(name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s holds no %q:\n%s", name, from, data)
	}
	if err := os.WriteFile(s.ControlPlaneFile(name), []byte(strings.Replace(string(data), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// CheckGone checks that objects do not exist any more.
func (s Env) CheckGone(objects ...kube.Object) error {
	for _, object := range objects {
		if err := s.Client.Get(context.Background(), object); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is still there (%w)", kube.Describe(object), err)
		}
	}
	return nil
}

// WriteNoise writes a file of this size with random content: equal parts of a file are stored once.
func WriteNoise(t testing.TB, path string, size int) {
	t.Helper()
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails
	NoError(t, os.WriteFile(path, content, 0o600))
}

// NoError fails the test if there is an error.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
