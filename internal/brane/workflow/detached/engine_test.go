package detached

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/engine"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

// The engine gets every field of a step except secrets, which it gets in another way.
func TestConfigHasTheWholeStep(t *testing.T) {
	var step workflow.Step
	fill(reflect.ValueOf(&step).Elem(), 0)
	step.Name, step.Needs, step.When = "all", nil, workflow.OnSuccess
	text, err := engineConfig{Run: "r", Steps: []workflow.Step{step}, Outputs: []string{"words"}}.encodeConfig()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "SECRET") {
		t.Errorf("the configuration has a secret: %s", text)
	}
	got, err := parseEngineConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	step.SecretEnv = nil
	want := engineConfig{Run: "r", Steps: []workflow.Step{step}, Outputs: []string{"words"}}
	if !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// The engine gets every field of a run, except for those that were used before it is started.
func TestConfigHasTheWholeRun(t *testing.T) {
	graph, err := workflow.NewGraph([]workflow.Step{{Name: "one"}})
	if err != nil {
		t.Fatal(err)
	}
	var spec workflow.Spec
	isDoneBefore := map[string]bool{"Inputs": true, "Address": true, "Retention": true, "Engine": true, "Configuration": true}
	for i := range reflect.TypeFor[workflow.Spec]().NumField() {
		field := reflect.TypeFor[workflow.Spec]().Field(i)
		if field.Name != "Graph" && !isDoneBefore[field.Name] {
			fill(reflect.ValueOf(&spec).Elem().Field(i), 0)
		}
	}
	spec.Graph = graph
	text, err := newEngineConfig(&spec, engine.Prepared{Injection: workflow.InjectImageVolume, Term: 3}, []string{"words"}).encodeConfig()
	if err != nil {
		t.Fatal(err)
	}
	config, err := parseEngineConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.toSpec()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, spec) || config.Prepared.Injection != workflow.InjectImageVolume || config.Prepared.Term != 3 || len(config.Outputs) != 1 {
		t.Errorf("got  %+v\nwant %+v", *got, spec)
	}
}

// An engine continues only if it has the configuration that it would get now. What other processes have chosen for it does not count.
func TestHasSameConfig(t *testing.T) {
	spec := func(change func(*workflow.Spec, *workflow.Step)) *workflow.Spec {
		spec, step := &workflow.Spec{ID: "r", Namespace: "ns", AgentImage: "agent:1"}, workflowtest.FullStep()
		step.Needs = nil
		change(spec, &step)
		spec.Graph = workflowtest.GraphOf(t, step)
		return spec
	}
	same := func(*workflow.Spec, *workflow.Step) {}
	policies := jobspec.Policies{}
	policies.AddRange(corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Min: corev1.ResourceList{"cpu": resource.MustParse("10m")}}}}})
	config := newEngineConfig(spec(same), engine.Prepared{Injection: workflow.InjectImageVolume, Policies: policies, SecretEnv: "env-1", Term: 3}, []string{"words"})
	config.Account = "account"
	text, err := config.encodeConfig()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(corev1.ConfigMap{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, Data: map[string]string{jobspec.EngineConfigFile: text},
		})
	}))
	t.Cleanup(server.Close)
	client, err := kube.New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*workflow.Spec, *workflow.Step)
		want   bool
	}{
		"the same":         {same, true},
		"another notation": {func(_ *workflow.Spec, s *workflow.Step) { s.Resources.Limits["memory"] = resource.MustParse("65536Ki") }, true},
		"empty lists":      {func(_ *workflow.Spec, s *workflow.Step) { s.Needs, s.Args = []string{}, []string{} }, true},
		"another secret":   {func(_ *workflow.Spec, s *workflow.Step) { s.SecretEnv["PASSWORD"] = "other" }, true}, // its version counts
		"another command":  {func(_ *workflow.Spec, s *workflow.Step) { s.Command = []string{"other"} }, false},
		"another limit":    {func(_ *workflow.Spec, s *workflow.Step) { s.Resources.Limits["memory"] = resource.MustParse("65Mi") }, false},
		"other triggers": {func(_ *workflow.Spec, s *workflow.Step) {
			s.Configuration = s.DigestConfiguration(workflow.Triggers{SecretEnvVersion: 2})
		}, false},
		"another input": {func(s *workflow.Spec, _ *workflow.Step) {
			s.InputDigest = workflow.DigestInputs(map[string]string{"in": "1"})
		}, false},
		"another agent":      {func(s *workflow.Spec, _ *workflow.Step) { s.AgentImage = "agent:2" }, false},
		"fewer at a time":    {func(s *workflow.Spec, _ *workflow.Step) { s.Parallel = 1 }, false},
		"more steps":         {func(_ *workflow.Spec, s *workflow.Step) { s.Name = "other" }, false},
		"another annotation": {func(s *workflow.Spec, _ *workflow.Step) { s.Metadata.Annotations = map[string]string{"a": "b"} }, false},
	} {
		if got, err := hasSameConfig(t.Context(), client, spec(tt.change)); err != nil || got != tt.want {
			t.Errorf("%s: it is the same: %t, %v", name, got, err)
		}
	}
}

// fill sets every field of a value, at any depth, to something that is not zero.
func fill(v reflect.Value, depth int) {
	if quantity, ok := v.Addr().Interface().(*resource.Quantity); ok {
		*quantity = resource.MustParse("1500m")
		return
	}
	if source, ok := v.Addr().Interface().(*corev1.VolumeSource); ok {
		source.PersistentVolumeClaim = &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "text", ReadOnly: true} // the others are up to Kubernetes
		return
	}
	if raw, ok := v.Addr().Interface().(*json.RawMessage); ok {
		*raw = json.RawMessage("7")
		return
	}
	if depth > 12 {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "SecretEnv" {
				v.Field(i).Set(reflect.ValueOf(map[string]string{"TOKEN": "SECRET"}))
			} else if v.Field(i).CanSet() {
				fill(v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), depth+1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, depth+1)
		fill(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint32, reflect.Uint64, reflect.Uint:
		v.SetUint(7)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	default:
		panic(fmt.Sprintf("a field of kind %s is new", v.Kind()))
	}
}

// The secret environment is set in the steps that have it; other files in the directory belong to Kubernetes.
func TestReadSecretEnv(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{"one.TOKEN": "t1", "one.KEY.X": "k1", "two.TOKEN": "t2", "..data": "", "gone.TOKEN": "t3"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	graph, err := workflow.NewGraph([]workflow.Step{{Name: "one", Image: "i", Command: []string{"c"}}, {Name: "two", Image: "i", Command: []string{"c"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := readSecretEnv(graph, folder); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(graph.Step("one").SecretEnv, graph.Step("two").SecretEnv), "map[KEY.X:k1 TOKEN:t1] map[TOKEN:t2]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := readSecretEnv(graph, filepath.Join(folder, "none")); err != nil {
		t.Errorf("a run without secret environment: %v", err)
	}
}
