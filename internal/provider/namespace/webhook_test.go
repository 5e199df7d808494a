package namespace_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// startWebhook starts an admission webhook that sets the label example.org/team of one namespace to "changed", until the test ends.
func startWebhook(t *testing.T, s acctest.Env) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Request struct {
				UID    string        `json:"uid"`
				Object labeledObject `json:"object"`
			} `json:"request"`
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &review)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		response := acctest.Object{"uid": review.Request.UID, "allowed": true}
		if _, there := review.Request.Object.Metadata.Labels["example.org/team"]; there {
			response["patchType"] = "JSONPatch"
			response["patch"] = []byte(`[{"op":"replace","path":"/metadata/labels/example.org~1team","value":"changed"}]`)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(acctest.Object{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
	}))
	t.Cleanup(server.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config, err := json.Marshal(acctest.Object{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": acctest.Object{"name": s.Namespace},
		"webhooks": []acctest.Object{{
			"name": "team.example.org", "admissionReviewVersions": []string{"v1"}, "sideEffects": "None", "failurePolicy": "Ignore", "timeoutSeconds": 5,
			"clientConfig":    acctest.Object{"url": server.URL, "caBundle": authority},
			"rules":           []acctest.Object{{"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "resources": []string{"namespaces"}, "operations": []string{"CREATE", "UPDATE"}}},
			"matchConditions": []acctest.Object{{"name": "of-this-test", "expression": "request.name.startsWith('" + s.Namespace + "')"}},
		}},
	})
	acctest.NoError(t, err)
	kubectl := func(stdin string, args ...string) {
		t.Helper()
		command := exec.CommandContext(context.Background(), "kubectl", append([]string{"--kubeconfig", clustertest.Getenv(t, "KUBECONFIG")}, args...)...)
		command.Stdin = strings.NewReader(stdin)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() { kubectl("", "delete", "--ignore-not-found", "mutatingwebhookconfiguration/"+s.Namespace) })
	kubectl(string(config), "create", "-f", "-")
	testenv.Await(t, "the webhook", func(ctx context.Context) (bool, error) {
		probe := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace + "-probe", Labels: map[string]string{"example.org/team": "x"}}}
		err := s.Client.DryRunCreate(ctx, probe)
		return probe.Labels["example.org/team"] == "changed", err
	})
}

// labeledObject is the part of an object that the webhook reads.
type labeledObject struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
}

// TestAccNamespaceWebhook checks that what an admission webhook changes is drift in the next plan, and no inconsistent result of the apply.
func TestAccNamespaceWebhook(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	startWebhook(t, s)
	config := func(team string) string {
		return s.Config(t, "resource \"brane_namespace\" \"test\" {\n  name = \"$NAMESPACE\"\n  labels = { \"example.org/team\" = \""+team+"\" }\n}\n")
	}
	label := func(value string) []statecheck.StateCheck {
		return []statecheck.StateCheck{statecheck.ExpectKnownValue("brane_namespace.test", tfjsonpath.New("labels").AtMapKey("example.org/team"), knownvalue.StringExact(value))}
	}
	changes := resource.ConfigPlanChecks{PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectResourceAction("brane_namespace.test", plancheck.ResourceActionUpdate)}}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: config("imaging"), ConfigPlanChecks: changes, ExpectNonEmptyPlan: true},
			{Config: config("genomics"), ConfigPlanChecks: changes, ExpectNonEmptyPlan: true},
			{RefreshState: true, ExpectNonEmptyPlan: true},
			{Config: config("changed"), ConfigStateChecks: label("changed")},
		},
	})
}
