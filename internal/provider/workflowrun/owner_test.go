package workflowrun_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// recordServer is an API server that has only the record of a run.
type recordServer struct {
	mu      sync.Mutex
	isAway  bool
	data    map[string]string // of the record
	deletes int
}

func (s *recordServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	refuse := func(code int, reason metav1.StatusReason) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reason})
	}
	isRecord := strings.Contains(r.URL.Path, "/configmaps")
	switch {
	case s.isAway:
		refuse(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	case r.Method == http.MethodDelete:
		s.deletes++
		_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess})
	case isRecord && r.Method == http.MethodPost:
		refuse(http.StatusConflict, metav1.StatusReasonAlreadyExists)
	case isRecord && r.Method == http.MethodGet:
		_ = json.NewEncoder(w).Encode(corev1.ConfigMap{
			TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "ns", UID: "1-2", ResourceVersion: "1"}, Data: s.data,
		})
	case strings.HasSuffix(r.URL.Path, "/jobs"):
		_ = json.NewEncoder(w).Encode(batchv1.JobList{TypeMeta: metav1.TypeMeta{Kind: "JobList", APIVersion: "batch/v1"}})
	case strings.HasSuffix(r.URL.Path, "/pods"):
		_ = json.NewEncoder(w).Encode(corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}})
	default:
		refuse(http.StatusNotFound, metav1.StatusReasonNotFound)
	}
}

// An apply that does not get the lease of a run leaves the owner in the state that the record names, so that destroying the run deletes it. It does not claim
// that it has stopped steps.
func TestApplyWithoutTheLease(t *testing.T) {
	for name, tt := range map[string]struct {
		isUpdate bool
		limits   acctest.Object
	}{
		"an update while the API server is away":             {true, acctest.Object{"update": "3s"}},
		"a creation while a killed apply holds the lease":    {false, acctest.Object{"create": "3s"}},
		"an update while another process executes the run":   {true, acctest.Object{"update": "3s"}},
		"an engine that is started while the server is away": {true, acctest.Object{"update": "3s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now().UTC().Format(time.RFC3339Nano)
			api := &recordServer{data: map[string]string{"leaseTransitions": "1", "deadline": time.Now().Add(time.Hour).Format(time.RFC3339)}}
			server := httptest.NewServer(api)
			t.Cleanup(server.Close)
			p := planning{acctest.NewProtocol(t), t, map[string]tftypes.Value{}}
			p.RequireNoErrors(p.Configure(acctest.Object{
				"kubernetes": acctest.Object{"host": server.URL, "token": "own"}, "redis": acctest.Object{"url": redistest.Start(t).URL()}, "agent_image": "agent:1",
			}, false).Diagnostics)
			schema := p.Schemas.ResourceSchemas["brane_workflow_run"]
			config := runTrio(acctest.Object{"outputs": nil, "timeouts": tt.limits, "wait": !strings.Contains(name, "engine")})
			prior, planned, owner := p.EncodeNull(schema), (*tfprotov6.PlanResourceChangeResponse)(nil), "the owner"
			if tt.isUpdate {
				state := p.apply(config, nil)
				prior = p.EncodeValue(schema.ValueType(), state)
				owner = p.decodeText(prior, "execution_id")
				config = withStep(config, "b", acctest.Object{"command": []any{"other"}})
				planned = p.PlanUpdate("brane_workflow_run", state, nil, config)
			} else {
				planned = p.Plan("brane_workflow_run", config, false)
			}
			p.RequireNoErrors(planned.Diagnostics)
			api.mu.Lock()
			api.data["execution"] = owner
			if api.isAway = strings.Contains(name, "away"); !api.isAway {
				api.data["holderIdentity"], api.data["leaseDurationSeconds"], api.data["acquireTime"], api.data["renewTime"] = "someone_1", "30", now, now
			}
			api.mu.Unlock()
			applied, err := p.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
				TypeName: "brane_workflow_run", Config: p.EncodeObject(schema, config), PriorState: prior, PlannedState: planned.PlannedState, PlannedPrivate: planned.PlannedPrivate,
			})
			acctest.NoError(t, err)
			if text := acctest.FormatDiagnostics(applied.Diagnostics); text == "" || strings.Contains(text, "steps were stopped") {
				t.Errorf("the apply says %q", text)
			}
			if got := p.decodeText(applied.NewState, "execution_id"); got != owner {
				t.Errorf("the state has the execution %q, the record %q", got, owner)
			}
			api.mu.Lock()
			api.isAway = false
			api.mu.Unlock()
			destroyed, err := p.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
				TypeName: "brane_workflow_run", Config: p.EncodeNull(schema), PriorState: applied.NewState, PlannedState: p.EncodeNull(schema), PlannedPrivate: applied.Private,
			})
			acctest.NoError(t, err)
			p.RequireNoErrors(destroyed.Diagnostics)
			if api.deletes == 0 {
				t.Error("destroy has deleted nothing")
			}
		})
	}
}

// decodeText returns an attribute of a state.
func (p planning) decodeText(state *tfprotov6.DynamicValue, name string) (text string) {
	p.t.Helper()
	acctest.NoError(p.t, p.DecodeAttributes(p.Schemas.ResourceSchemas["brane_workflow_run"], state)[name].As(&text))
	return text
}
