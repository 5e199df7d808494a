package provider_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// What the tests of runs share: a place to run in, and looks at what a run has left in the cluster and in Redis.

// underBrane is the configuration of a namespace and its registration; the location has the namespace's name.
const underBrane = `
resource "brane_namespace" "test" {
  name = "$NAMESPACE"
}

resource "brane_infrastructure" "test" {
  name        = "$NAMESPACE"
  namespace   = brane_namespace.test.name
  registry    = "$REGISTRY"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.test.service_account.name }
}
`

// runAddress is the run of every test.
const runAddress = "brane_workflow_run.test"

// register makes what underBrane describes without Terraform, for tests that are about runs alone. Its namespace is deleted at the end without waiting.
func (s setting) register(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	spec := namespace.Spec{Name: s.namespace, ServiceAccount: "brane", Access: namespace.AccessRun}
	_, err := namespace.Create(ctx, s.client, spec, false)
	must(t, err)
	t.Cleanup(func() {
		must(t, s.client.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}))
	})
	token, err := credentials.RequestToken(ctx, s.client, s.namespace, spec.ServiceAccount, time.Hour, nil)
	must(t, err)
	ca, err := s.client.CA()
	must(t, err)
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: s.client.Host(), CA: ca, Token: token.Value, Namespace: s.namespace, Name: s.namespace})
	must(t, err)
	location := infra.Location{
		Name: s.namespace, Address: s.client.Host()[len("https://"):], Namespace: s.namespace,
		Registry: s.variable(t, "BRANE_REGISTRY"), CallbackTo: "http://198.51.100.10:50052",
	}
	must(t, infra.Register(ctx, infra.NewDirectoryStore(s.folder, infra.V06), location, kubeconfig))
}

// runID is the id of the run in the state.
func runID(state *terraform.State) (string, error) {
	run, found := state.RootModule().Resources[runAddress]
	if !found {
		return "", errors.New("there is no run in the state")
	}
	return run.Primary.Attributes["id"], nil
}

// jobUIDs are the uids of the namespace's Jobs by the steps they are of.
func (s setting) jobUIDs(ctx context.Context) (map[string]string, error) {
	var jobs batchv1.JobList
	if err := s.client.List(ctx, &jobs, s.namespace, workflow.RunLabel); err != nil {
		return nil, err
	}
	uids := map[string]string{}
	for _, job := range jobs.Items {
		uids[job.Labels[workflow.StepLabel]] = string(job.UID)
	}
	return uids, nil
}

// nothingOfRuns checks that the namespace holds nothing that a run makes; the service account's own things are no run's.
func (s setting) nothingOfRuns(ctx context.Context) error {
	for _, list := range []kube.List{&batchv1.JobList{}, &corev1.PodList{}, &corev1.ConfigMapList{}, &corev1.SecretList{}} {
		if err := s.client.List(ctx, list, s.namespace, workflow.RunLabel); err != nil {
			return err
		}
		if count := countOf(list); count > 0 {
			return fmt.Errorf("namespace %s still holds %d objects of runs in a %T", s.namespace, count, list)
		}
	}
	return nil
}

func countOf(list kube.List) int {
	switch list := list.(type) {
	case *batchv1.JobList:
		return len(list.Items)
	case *corev1.PodList:
		return len(list.Items)
	case *corev1.ConfigMapList:
		return len(list.Items)
	case *corev1.SecretList:
		return len(list.Items)
	}
	return -1
}

// onRedis returns a configuration whose provider uses the Redis of the test. more contains additional attributes of the redis block.
func onRedis(url, more, body string) string {
	return fmt.Sprintf("provider \"brane\" {\n  redis = {\n    url = %q\n%s\n  }\n}\n%s", url, more, body)
}

const smallestNamespace = `
resource "brane_namespace" "test" {
  name = "$NAMESPACE"
}
`

// run is a run with a name of its own; body is all but name and infrastructure.
func (s setting) run(t *testing.T, name, body string) string {
	t.Helper()
	return s.hcl(t, fmt.Sprintf("resource \"brane_workflow_run\" \"test\" {\n  name = %q\n  infrastructure = \"$NAMESPACE\"\n%s\n}\n", name, body))
}

func runValue(attribute string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(runAddress, tfjsonpath.New(attribute), check)
}

func output(path, content string) knownvalue.Check {
	return knownvalue.ObjectExact(map[string]knownvalue.Check{
		"path": knownvalue.StringExact(path), "size": knownvalue.Int64Exact(int64(len(content))),
		"sha256": knownvalue.StringExact(digest(content)), "content": knownvalue.StringExact(content),
	})
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
