//go:build kueue

package workflowrun_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	kuberesource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/heldrun"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// kueueConfig configures Kueue's controller for Jobs only, with a webhook on loopback and without its other servers.
const kueueConfig = `
apiVersion: config.kueue.x-k8s.io/v1beta2
kind: Configuration
health: { healthProbeBindAddress: "$HEALTH" }
metrics: { bindAddress: "0" }
webhook: { host: "$HOST", port: $PORT, certDir: "$CERTIFICATES" }
leaderElection: { leaderElect: false }
internalCertManagement: { enable: false }
featureGates: { VisibilityOnDemand: false }
integrations: { frameworks: ["batch/job"] }
`

// kueueQueue is a queue of a namespace with room for 300m CPU, which prefers urgent Jobs.
const kueueQueue = `
apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: { name: "$NAMESPACE" }
spec: { nodeLabels: { kubernetes.io/os: linux } }
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: { name: "$NAMESPACE" }
spec:
  namespaceSelector: {}
  preemption: { withinClusterQueue: LowerPriority }
  resourceGroups:
    - coveredResources: [cpu, memory, ephemeral-storage]
      flavors:
        - name: "$NAMESPACE"
          resources:
            - { name: cpu, nominalQuota: 300m }
            - { name: memory, nominalQuota: 8Gi }
            - { name: ephemeral-storage, nominalQuota: 8Gi }
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: { name: team, namespace: "$NAMESPACE" }
spec: { clusterQueue: "$NAMESPACE" }
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: WorkloadPriorityClass
metadata: { name: "$NAMESPACE" }
value: 1000
description: urgent
`

// TestKueue runs steps on a cluster with Kueue's own controller.
func TestKueue(t *testing.T) {
	clustertest.RequireOwn(t) // the API server has to reach the controller
	testenv.RequireRoot(t, "the controller gets its own /etc")
	s := acctest.NewEnv(t)
	startKueue(t, s)
	t.Run("steps wait for room in the queue", testKueueAdmission)
	t.Run("a step is preempted", testKueuePreemption)
}

// testKueueAdmission runs two steps of 200m CPU, one after the other although neither needs the other, with an engine.
func testKueueAdmission(t *testing.T) {
	s := heldrun.NewRunIn(t, nil, "queued", `
  wait     = false
  labels   = { "`+queueLabel+`" = "team" }
  defaults = { image = "$TOOLS", resources = { requests = { cpu = "200m" } } }
  steps = {
    first = { command = ["sh", "-ec", "$RAN/first; echo first > /data/first"] }
    slow  = { command = ["sh", "-ec", "$RAN/slow; echo slow > /data/slow"] }
    last  = { command = ["sh", "-ec", "$RAN/last; cat /data/first /data/slow > /data/both"], needs = ["first", "slow"] }
  }
  outputs = { both = { path = "both" } }
`)
	createQueue(t, s.Env)
	s.CLI.Run(t, "apply", "-auto-approve", "-no-color")
	s.AwaitStatus(t, workflow.RunSucceeded)
	var jobs batchv1.JobList
	acctest.NoError(t, s.Client.List(t.Context(), &jobs, s.Namespace, queueLabel+",app.kubernetes.io/component=step"))
	if len(jobs.Items) != 3 {
		t.Fatalf("%d Jobs of steps are in the queue, not 3", len(jobs.Items))
	}
	slices.SortFunc(jobs.Items, func(a, b batchv1.Job) int { return a.Status.StartTime.Compare(b.Status.StartTime.Time) })
	for i, job := range jobs.Items {
		if job.Spec.Template.Spec.NodeSelector[corev1.LabelOSStable] != "linux" {
			t.Errorf("Job %s does not select the nodes of the flavor: %v", job.Name, job.Spec.Template.Spec.NodeSelector)
		}
		if i > 0 && job.Status.StartTime.Before(jobs.Items[i-1].Status.CompletionTime) {
			t.Errorf("Job %s has started before Job %s was complete", job.Name, jobs.Items[i-1].Name)
		}
	}
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 1, "last": 1})
}

// testKueuePreemption lets an urgent Job take the room of a running step. The step runs again afterwards.
func testKueuePreemption(t *testing.T) {
	s := heldrun.NewRunIn(t, nil, "preempted", `
  labels   = { "`+queueLabel+`" = "team" }
  defaults = { resources = { requests = { cpu = "200m" } } }
`+heldrun.Chain{}.String())
	createQueue(t, s.Env)
	apply := heldrun.StartApply(t, s.CLI)
	s.AwaitSlowStep(t)
	pod := s.FindPod(t, "slow")
	urgent := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "urgent", Labels: map[string]string{queueLabel: "team", "kueue.x-k8s.io/priority-class": s.Namespace}},
		Spec: batchv1.JobSpec{Suspend: new(true), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{
				Name: "urgent", Image: s.Getenv(t, "BRANE_TOOLS_IMAGE"), Command: []string{"true"},
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: kuberesource.MustParse("300m")}},
			}},
		}}},
	}
	acctest.NoError(t, s.Client.Create(t.Context(), urgent))
	testenv.AwaitTrue(t, "the end of the urgent Job", func() bool {
		acctest.NoError(t, s.Client.Get(t.Context(), urgent))
		return urgent.Status.Succeeded == 1
	})
	if s.CheckGone(pod) != nil {
		t.Error("the urgent Job has run, but the pod of the step exists")
	}
	s.Server.Release()
	s.CheckErrors(t, apply, "")
	s.CheckEnd(t, map[string]int{"first": 1, "slow": 2, "last": 1})
}

// createQueue creates the queue of a namespace and waits until it is active.
func createQueue(t *testing.T, s acctest.Env) {
	t.Helper()
	createObjects(t, s, strings.ReplaceAll(kueueQueue, "$NAMESPACE", s.Namespace))
	s.Kubectl(t, "", "wait", "--for=condition=Active", "--timeout=2m", "clusterqueue/"+s.Namespace)
}

// createObjects creates the objects of a manifest, and deletes them when the test ends.
func createObjects(t *testing.T, s acctest.Env, manifest string) {
	t.Helper()
	s.Kubectl(t, manifest, "create", "-f", "-")
	t.Cleanup(func() { s.Kubectl(t, manifest, "delete", "--wait=false", "-f", "-") })
}

// startKueue installs Kueue in the test cluster and starts its controller, until the test ends. `make test-kueue` sets the paths of its program and of its module.
func startKueue(t *testing.T, s acctest.Env) {
	t.Helper()
	program, module := s.Getenv(t, "BRANE_TEST_KUEUE"), s.Getenv(t, "BRANE_TEST_KUEUE_MODULE")
	types := filepath.Join(module, "config/components/crd/bases")
	s.Kubectl(t, "", "apply", "--server-side", "-f", types)
	t.Cleanup(func() { s.Kubectl(t, "", "delete", "-f", types) })
	s.Kubectl(t, "", "wait", "--for=condition=Established", "--timeout=2m", "-f", types)

	dir := t.TempDir()
	address, authority := writeCertificate(t, dir)
	host, port, err := net.SplitHostPort(address)
	acctest.NoError(t, err)
	health, err := net.Listen("tcp", "127.0.0.1:0")
	acctest.NoError(t, err)
	acctest.NoError(t, health.Close())
	config := filepath.Join(dir, "config.yaml")
	text := strings.NewReplacer("$HEALTH", health.Addr().String(), "$HOST", host, "$PORT", port, "$CERTIFICATES", dir).Replace(kueueConfig)
	acctest.NoError(t, os.WriteFile(config, []byte(text), 0o600))

	var log bytes.Buffer
	// The controller reads the certificates of its metrics from a fixed directory of /etc, also without metrics. It gets an /etc of its own.
	controller := exec.Command("unshare", "--mount", "sh", "-ec", `
		mount -t tmpfs none /etc
		mkdir -p /etc/kueue/metrics
		cp -r "$1" /etc/kueue/metrics/certs
		exec "$0" --config "$2"`, program, dir, config)
	controller.Stdout, controller.Stderr = &log, &log
	acctest.NoError(t, controller.Start())
	t.Cleanup(func() {
		_ = controller.Process.Signal(syscall.SIGTERM)
		_ = controller.Wait()
		if t.Failed() {
			t.Logf("Kueue's log:\n%s", log.String())
		}
	})
	testenv.AwaitTrue(t, "Kueue", func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+health.Addr().String()+"/readyz", http.NoBody)
		acctest.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode == http.StatusOK
	})
	registerWebhooks(t, s, filepath.Join(module, "config/components/webhook/manifests.yaml"), "https://"+address, authority)
}

// writeCertificate writes a certificate for a free address and its key, as tls.crt and tls.key.
func writeCertificate(t *testing.T, dir string) (address string, certificate []byte) {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler()) // only its certificate and port are used
	server.Close()
	key, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	acctest.NoError(t, err)
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	acctest.NoError(t, os.WriteFile(filepath.Join(dir, "tls.crt"), certificate, 0o600))
	acctest.NoError(t, os.WriteFile(filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	return server.Listener.Addr().String(), certificate
}

// registerWebhooks registers the webhooks of Kueue's manifests that concern Jobs and its own objects, at the address of its controller.
func registerWebhooks(t *testing.T, s acctest.Env, manifests, address string, authority []byte) {
	t.Helper()
	text, err := os.ReadFile(manifests)
	acctest.NoError(t, err)
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var configuration struct {
			metav1.TypeMeta `json:",inline"`
			Metadata        metav1.ObjectMeta                           `json:"metadata"`
			Webhooks        []admissionregistrationv1.ValidatingWebhook `json:"webhooks"` // the mutating ones have the same fields
		}
		acctest.NoError(t, yaml.Unmarshal([]byte(document), &configuration))
		configuration.Metadata.Name = "kueue-" + configuration.Metadata.Name
		configuration.Webhooks = slices.DeleteFunc(configuration.Webhooks, func(w admissionregistrationv1.ValidatingWebhook) bool {
			group := w.Rules[0].APIGroups[0]
			return group != batchv1.GroupName && group != "kueue.x-k8s.io"
		})
		for i := range configuration.Webhooks {
			client := &configuration.Webhooks[i].ClientConfig
			client.URL = new(address + *client.Service.Path)
			client.Service, client.CABundle = nil, authority
		}
		encoded, err := json.Marshal(configuration)
		acctest.NoError(t, err)
		createObjects(t, s, string(encoded))
	}
}
