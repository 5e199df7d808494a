package acctest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
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
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// InfrastructureConfig is the configuration of a namespace and of a location with the same name.
const InfrastructureConfig = `
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

// RunAddress is the address of the run in the configuration of every test.
const RunAddress = "brane_workflow_run.test"

// serviceAccount is the service account of [Env.RegisterInfrastructure].
const serviceAccount = "brane"

// RegisterInfrastructure creates what [InfrastructureConfig] describes without Terraform, for tests of runs. When the test ends, it deletes the namespace and does not
// wait.
func (s Env) RegisterInfrastructure(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	spec := namespace.Spec{Name: s.Namespace, ServiceAccount: serviceAccount, Access: namespace.AccessRun}
	_, err := namespace.Create(ctx, s.Client, spec, false)
	NoError(t, err)
	t.Cleanup(func() {
		NoError(t, s.Client.Delete(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}))
	})
	s.RegisterToken(t, time.Hour)
}

// RegisterToken registers the namespace of [Env.RegisterInfrastructure] with a new token, whose lifetime is at least ten minutes.
func (s Env) RegisterToken(t *testing.T, lifetime time.Duration) {
	t.Helper()
	ctx := t.Context()
	token, err := credentials.RequestToken(ctx, s.Client, s.Namespace, serviceAccount, lifetime, nil)
	NoError(t, err)
	ca, err := s.Client.CA()
	NoError(t, err)
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: s.Client.Host(), CA: ca, Token: token.Value, Namespace: s.Namespace, Name: s.Namespace})
	NoError(t, err)
	location := infra.Location{
		Name: s.Namespace, Address: s.Client.Host()[len("https://"):], Namespace: s.Namespace,
		Registry: s.Getenv(t, "BRANE_REGISTRY"), CallbackTo: "http://198.51.100.10:50052",
	}
	NoError(t, infra.Register(ctx, infra.NewDirectoryStore(s.Directory, infra.V06), location, kubeconfig))
}

// RunID returns the id of the run in the state.
func RunID(state *terraform.State) (string, error) {
	run, found := state.RootModule().Resources[RunAddress]
	if !found {
		return "", errors.New("there is no run in the state")
	}
	return run.Primary.Attributes["id"], nil
}

// JobUIDs returns the UIDs of the Jobs in the namespace by their steps.
func (s Env) JobUIDs(ctx context.Context) (map[string]string, error) {
	var jobs batchv1.JobList
	if err := s.Client.List(ctx, &jobs, s.Namespace, workflow.RunLabel); err != nil {
		return nil, err
	}
	uids := map[string]string{}
	for _, job := range jobs.Items {
		uids[job.Labels[workflow.StepLabel]] = string(job.UID)
	}
	return uids, nil
}

// AwaitJobsEnd waits until Kubernetes has noted the end of all Jobs of runs, which it does up to two seconds after that of their pods. Until then the next
// execution of a run adopts them.
func (s Env) AwaitJobsEnd(t *testing.T) {
	t.Helper()
	testenv.Await(t, "the end of the Jobs", func(ctx context.Context) (bool, error) {
		var jobs batchv1.JobList
		err := s.Client.List(ctx, &jobs, s.Namespace, workflow.RunLabel)
		hasEnded := func(job batchv1.Job) bool {
			return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed })
		}
		return !slices.ContainsFunc(jobs.Items, func(job batchv1.Job) bool { return !hasEnded(job) }), err
	})
}

// CheckNoRunObjects checks that the namespace has no objects of runs.
func (s Env) CheckNoRunObjects(ctx context.Context) error {
	for _, list := range []kube.List{&batchv1.JobList{}, &corev1.PodList{}, &corev1.ConfigMapList{}, &corev1.SecretList{}} {
		if err := s.Client.List(ctx, list, s.Namespace, workflow.RunLabel); err != nil {
			return err
		}
		if count := countItems(list); count > 0 {
			return fmt.Errorf("namespace %s still holds %d objects of runs in a %T", s.Namespace, count, list)
		}
	}
	return nil
}

func countItems(list kube.List) int {
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

// RedisConfig returns a configuration whose provider uses the Redis of the test. more contains additional attributes of the redis block.
func RedisConfig(url, more, body string) string {
	return fmt.Sprintf("provider \"brane\" {\n  redis = {\n    url = %q\n%s\n  }\n}\n%s", url, more, body)
}

// NamespaceConfig is the smallest configuration of a namespace.
const NamespaceConfig = `
resource "brane_namespace" "test" {
  name = "$NAMESPACE"
}
`

// RunConfig returns the configuration of a run; body contains all attributes but name and infrastructure.
func (s Env) RunConfig(t *testing.T, name, body string) string {
	t.Helper()
	return s.Config(t, fmt.Sprintf("resource \"brane_workflow_run\" \"test\" {\n  name = %q\n  infrastructure = \"$NAMESPACE\"\n%s\n}\n", name, body))
}

// ExpectRunValue returns a check of an attribute of the run.
func ExpectRunValue(attribute string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(RunAddress, tfjsonpath.New(attribute), check)
}

// ExpectOutput returns a check of an output of the run.
func ExpectOutput(path, content string) knownvalue.Check {
	return knownvalue.ObjectExact(map[string]knownvalue.Check{
		"path": knownvalue.StringExact(path), "size": knownvalue.Int64Exact(int64(len(content))),
		"sha256": knownvalue.StringExact(SHA256(content)), "content": knownvalue.StringExact(content),
	})
}

// SHA256 returns the digest of a text in hexadecimal.
func SHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
