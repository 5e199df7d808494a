package clustertest

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// MutatePods registers a mutating webhook for the pods that are created in a namespace, until the test ends. Its server is this process. It
// calls a function, which may change the specification of the pod; an error is the webhook's own failure, an HTTP status 500.
func MutatePods(t testing.TB, namespace string, change func(pod *corev1.Pod) error) {
	t.Helper()
	mutate(t, namespace, "", "pods", change)
}

// MutateJobs does the same with Jobs.
func MutateJobs(t testing.TB, namespace string, change func(job *batchv1.Job) error) {
	t.Helper()
	mutate(t, namespace, batchv1.GroupName, "jobs", change)
}

// mutate registers a mutating webhook for objects of type T.
func mutate[T any](t testing.TB, namespace, group, resource string, change func(object *T) error) {
	t.Helper()
	RequireOwn(t) // the API server has to reach this process
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := reviewObject(r, change)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(answer) //nolint:gosec // JSON for the API server; an error is one of the API server
	}))
	t.Cleanup(server.Close)
	configuration := admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{Kind: "MutatingWebhookConfiguration", APIVersion: admissionregistrationv1.SchemeGroupVersion.String()},
		ObjectMeta: metav1.ObjectMeta{Name: Name("webhook")},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: resource + ".webhook.test",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{"v1"}, Resources: []string{resource}},
			}},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	text, err := json.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	createWithKubectl(t, text, "mutatingwebhookconfiguration/"+configuration.Name)
}

// createWithKubectl creates objects of the cluster, and deletes those with these names when the test ends. The scheme of package kube does not have
// their types.
func createWithKubectl(t testing.TB, manifest []byte, names ...string) (remove func()) {
	t.Helper()
	kubectl := func(ctx context.Context, in []byte, args ...string) {
		cmd := exec.CommandContext(ctx, "kubectl", append([]string{"--kubeconfig", Getenv(t, "KUBECONFIG")}, args...)...)
		cmd.Stdin = bytes.NewReader(in)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("kubectl %q: %v\n%s", args, err, out)
		}
	}
	kubectl(t.Context(), manifest, "create", "-f", "-")
	remove = func() {
		ctx := testenv.Context(t)
		kubectl(ctx, nil, append([]string{"delete", "--ignore-not-found"}, names...)...)
	}
	t.Cleanup(remove)
	return remove
}

// reviewObject answers a request for admission with a patch that replaces the specification of the object.
func reviewObject[T any](r *http.Request, change func(object *T) error) ([]byte, error) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		return nil, fmt.Errorf("read the review: %w", err)
	}
	var object T
	if err := json.Unmarshal(review.Request.Object.Raw, &object); err != nil {
		return nil, fmt.Errorf("read the object: %w", err)
	}
	if err := change(&object); err != nil {
		return nil, err
	}
	text, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var changed struct{ Spec json.RawMessage }
	if err := json.Unmarshal(text, &changed); err != nil {
		return nil, err
	}
	patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/spec", "value": changed.Spec}})
	if err != nil {
		return nil, err
	}
	review.Response = &admissionv1.AdmissionResponse{
		UID: review.Request.UID, Allowed: true, Patch: patch, PatchType: new(admissionv1.PatchTypeJSONPatch),
	}
	review.Request = nil
	return json.Marshal(review)
}
