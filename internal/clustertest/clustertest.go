// Package clustertest gives tests access to the cluster that `make test` starts. It never uses another cluster, so that a KUBECONFIG in the environment
// cannot direct a test to a production cluster.
package clustertest

import (
	"crypto/rand"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// external is the value of BRANE_TEST_CLUSTER for a cluster that `make test` did not start.
const external = "external"

// RequireOwn skips a test that stops parts of the cluster, or reads files of its nodes, unless `make test` has started the cluster on the same machine.
func RequireOwn(t testing.TB) {
	t.Helper()
	testenv.RequireAcceptance(t)
	if os.Getenv("BRANE_TEST_CLUSTER") == external {
		t.Skip("this test needs a cluster that `make test` starts; CLUSTER=external names another one")
	}
}

// Getenv returns a variable of the test cluster's environment. Without TF_ACC the test is skipped. With it the test fails if there is no test cluster or the
// variable is empty.
func Getenv(t testing.TB, name string) string {
	t.Helper()
	testenv.RequireAcceptance(t)
	if os.Getenv("BRANE_TEST_CLUSTER") == "" {
		t.Fatal("this test needs the test cluster: run `make test`, or `make cluster-up` and then `. .cluster/env` in this shell")
	}
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("the test cluster's environment has no %s: run `make cluster-up` again and then `. .cluster/env`", name)
	}
	return value
}

// Client returns a client with the credentials of the test cluster's administrator.
func Client(t testing.TB) *kube.Client {
	t.Helper()
	return client(t, Getenv(t, "KUBECONFIG"))
}

func client(t testing.TB, kubeconfig string) *kube.Client {
	t.Helper()
	config, err := kube.Connection{ConfigPath: kubeconfig}.Config()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Name returns a unique name for an object.
func Name(prefix string) string {
	return prefix + "-" + strings.ToLower(rand.Text()[:8])
}

// Namespace creates a namespace for one test. It is deleted when the test ends; the deletion is not waited for.
func Namespace(t testing.TB) string {
	t.Helper()
	client := Client(t)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Name("test")}}
	if err := client.Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := testenv.Context(t)
		if err := client.Delete(ctx, ns); err != nil && !apierrors.IsNotFound(err) { // the test may have deleted it
			t.Errorf("delete namespace %s: %v", ns.Name, err)
		}
	})
	return ns.Name
}
