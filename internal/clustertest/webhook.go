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
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MutatePods registers a mutating webhook for the pods that are created in a namespace, until the test ends. Its server is this process. It
// calls a function, which may change the pod; an error is the webhook's own failure, an HTTP status 500.
func MutatePods(t testing.TB, namespace string, change func(pod *corev1.Pod) error) {
	t.Helper()
	RequireOwn(t) // the API server has to reach this process
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := reviewPod(r, change)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(answer) // an error is one of the API server
	}))
	t.Cleanup(server.Close)
	configuration := admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{Kind: "MutatingWebhookConfiguration", APIVersion: admissionregistrationv1.SchemeGroupVersion.String()},
		ObjectMeta: metav1.ObjectMeta{Name: Name("webhook")},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "pods.webhook.test",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL: &server.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
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
	kubectl := func(ctx context.Context, in []byte, args ...string) {
		cmd := exec.CommandContext(ctx, "kubectl", args...)
		cmd.Stdin = bytes.NewReader(in)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("kubectl %q: %v\n%s", args, err, out)
		}
	}
	kubectl(t.Context(), text, "create", "-f", "-")
	t.Cleanup(func() {
		ctx, done := context.WithTimeout(context.Background(), time.Minute) // the test's context has already ended
		defer done()
		kubectl(ctx, nil, "delete", "mutatingwebhookconfiguration", configuration.Name)
	})
}

// reviewPod answers a request for admission with a patch that replaces the specification of the pod.
func reviewPod(r *http.Request, change func(pod *corev1.Pod) error) ([]byte, error) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		return nil, fmt.Errorf("read the review: %w", err)
	}
	var pod corev1.Pod
	if err := json.Unmarshal(review.Request.Object.Raw, &pod); err != nil {
		return nil, fmt.Errorf("read the pod: %w", err)
	}
	if err := change(&pod); err != nil {
		return nil, err
	}
	patch, err := json.Marshal([]map[string]any{{"op": "replace", "path": "/spec", "value": pod.Spec}})
	if err != nil {
		return nil, err
	}
	review.Response = &admissionv1.AdmissionResponse{
		UID: review.Request.UID, Allowed: true, Patch: patch, PatchType: new(admissionv1.PatchTypeJSONPatch),
	}
	review.Request = nil
	return json.Marshal(review)
}
