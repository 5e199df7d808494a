package workflow_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

// neverRunsAgain are the fields of a step that are not part of its configuration, so that changing one does not run the step again.
var neverRunsAgain = []string{
	"Name", "Needs", "Timeout", "Parallel", "MaxFailedIndexes", "Retries", "When", "AllowFailure", "Resources", "Placement", "PullSecrets", "DataSizeLimit",
	"TerminationGracePeriod", "ResourceClaims", "Metadata",
	"Completions", "Items", "IsEmpty", // part of the fingerprint of the step as a whole; each index has only its own item
	"SecretEnv",     // its version is part of the triggers
	"Configuration", // the digest itself
}

// fullCall returns a step that calls a function with a value and with the result of another step.
func fullCall() workflow.Step {
	return workflowtest.CallStep("call", branelet.V06, map[string]workflow.Argument{"x": {Value: json.RawMessage(`1`), Step: "a"}})
}

// Each field of a step, and each field of what it consists of, either runs the step again when it changes, or is known not to.
func TestDigestConfigurationOfEachField(t *testing.T) {
	fields := reflect.TypeFor[workflow.Step]()
	for i := range fields.NumField() {
		field, base := fields.Field(i), workflowtest.FullStep
		if field.Name == "Call" {
			base = fullCall
		}
		changes := listChanges(field.Type, field.Name)
		if len(changes) == 0 {
			t.Errorf("%s is not changed", field.Name)
		}
		for _, change := range changes {
			changed := base()
			change.apply(reflect.ValueOf(&changed).Elem().Field(i))
			if reflect.DeepEqual(changed, base()) {
				t.Errorf("%s was not changed", change.path)
			}
			is := changed.DigestConfiguration(workflow.Triggers{}) != base().DigestConfiguration(workflow.Triggers{})
			if want := !slices.Contains(neverRunsAgain, field.Name); is != want {
				t.Errorf("%s changes the configuration: %t, want %t", change.path, is, want)
			}
		}
	}
	for _, name := range neverRunsAgain {
		if _, found := fields.FieldByName(name); !found {
			t.Errorf("a step has no field %s", name)
		}
	}
}

// fieldChange changes one value in a field of a step.
type fieldChange struct {
	path  string
	apply func(v reflect.Value)
}

// listChanges returns the changes of a value of this type: one for each field of the structs of package workflow, and one for those of other packages.
func listChanges(of reflect.Type, path string) []fieldChange {
	switch {
	case of == reflect.TypeFor[resource.Quantity]():
		return []fieldChange{{path, func(v reflect.Value) { v.Set(reflect.ValueOf(resource.MustParse("7"))) }}}
	case of == reflect.TypeFor[json.RawMessage]():
		return []fieldChange{{path, func(v reflect.Value) { v.Set(reflect.ValueOf(json.RawMessage(`7`))) }}}
	}
	switch of.Kind() { //nolint:exhaustive // no field is of another kind
	case reflect.String:
		return []fieldChange{{path, func(v reflect.Value) { v.SetString(v.String() + "x") }}}
	case reflect.Bool:
		return []fieldChange{{path, func(v reflect.Value) { v.SetBool(!v.Bool()) }}}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return []fieldChange{{path, func(v reflect.Value) { v.SetInt(v.Int() + 1) }}}
	case reflect.Pointer:
		return wrapChanges(listChanges(of.Elem(), path), func(v reflect.Value, apply func(reflect.Value)) {
			if v.IsNil() {
				v.Set(reflect.New(of.Elem()))
			}
			apply(v.Elem())
		})
	case reflect.Slice:
		return wrapChanges(listChanges(of.Elem(), path+"[0]"), func(v reflect.Value, apply func(reflect.Value)) {
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(of, 1, 1))
			}
			apply(v.Index(0))
		})
	case reflect.Map:
		return wrapChanges(listChanges(of.Elem(), path+"[key]"), changeMap)
	case reflect.Struct:
		var changes []fieldChange
		for i := range of.NumField() {
			changes = append(changes, wrapChanges(listChanges(of.Field(i).Type, path+"."+of.Field(i).Name), func(v reflect.Value, apply func(reflect.Value)) { apply(v.Field(i)) })...)
			if len(changes) > 0 && of.PkgPath() != reflect.TypeFor[workflow.Step]().PkgPath() {
				return changes[:1]
			}
		}
		return changes
	}
	return nil
}

// wrapChanges returns the changes of a value that contains another one.
func wrapChanges(changes []fieldChange, in func(v reflect.Value, apply func(reflect.Value))) (wrapped []fieldChange) {
	for _, change := range changes {
		wrapped = append(wrapped, fieldChange{change.path, func(v reflect.Value) { in(v, change.apply) }})
	}
	return wrapped
}

// changeMap changes the value of one key of a map.
func changeMap(v reflect.Value, apply func(reflect.Value)) {
	if v.Len() == 0 {
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), reflect.Zero(v.Type().Elem()))
	}
	key := v.MapKeys()[0]
	value := reflect.New(v.Type().Elem()).Elem()
	value.Set(v.MapIndex(key))
	apply(value)
	v.SetMapIndex(key, value)
}

// Each trigger runs the step again, and the same triggers do not.
func TestDigestConfigurationOfTriggers(t *testing.T) {
	step, seen := workflowtest.FullStep(), map[string]string{}
	for name, triggers := range map[string]workflow.Triggers{
		"none":             {},
		"of the run":       {Run: map[string]string{"a": "1"}},
		"others of it":     {Run: map[string]string{"a": "2"}},
		"of the step":      {Step: map[string]string{"a": "1"}},
		"others of that":   {Step: map[string]string{"b": "1"}},
		"a version":        {SecretEnvVersion: 1},
		"another version":  {SecretEnvVersion: 2},
		"each execution":   {Execution: "1"},
		"another of these": {Execution: "2"},
	} {
		digest := step.DigestConfiguration(triggers)
		if same := seen[digest]; same != "" {
			t.Errorf("%q and %q give the same digest", name, same)
		}
		seen[digest] = name
		if again := workflowtest.FullStep().DigestConfiguration(workflow.Triggers{
			Run: maps.Clone(triggers.Run), Step: maps.Clone(triggers.Step), SecretEnvVersion: triggers.SecretEnvVersion, Execution: triggers.Execution,
		}); again != digest {
			t.Errorf("%q: the same triggers give %s and %s", name, digest, again)
		}
	}
}

// What means the same has the same digest, in whichever notation.
func TestDigestConfigurationOfNotations(t *testing.T) {
	sized := func(size string) func(*workflow.Step) {
		return func(s *workflow.Step) {
			limit := resource.MustParse(size)
			s.Volumes = []workflow.Volume{{Name: "tmp", MountPath: "/tmp", Source: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: &limit}}}}
		}
	}
	for name, tt := range map[string]struct{ one, other func(*workflow.Step) }{
		"a quantity": {sized("1Gi"), sized("1024Mi")},
		"empty maps": {func(*workflow.Step) {}, func(s *workflow.Step) { s.Env, s.EnvFromSecret = map[string]string{}, map[string]workflow.SecretKey{} }},
		"empty lists": {func(*workflow.Step) {}, func(s *workflow.Step) {
			s.Args, s.Reads, s.Volumes, s.PodPatches = []string{}, []string{}, []workflow.Volume{}, []json.RawMessage{}
		}},
		"needs":           {func(s *workflow.Step) { s.Needs = []string{"a", "b"} }, func(s *workflow.Step) { s.Needs = []string{"b", "a"} }},
		"spaces in JSON":  {func(s *workflow.Step) { s.PodPatches = []json.RawMessage{[]byte(`{"a":1}`)} }, func(s *workflow.Step) { s.PodPatches = []json.RawMessage{[]byte("{ \"a\":\n1 }")} }},
		"a parsed step":   {func(s *workflow.Step) { *s = workflowtest.FullStep() }, func(s *workflow.Step) { *s = parseAgain(t, workflowtest.FullStep()) }},
		"a parsed call":   {func(s *workflow.Step) { *s = fullCall() }, func(s *workflow.Step) { *s = parseAgain(t, fullCall()) }},
		"the environment": {func(s *workflow.Step) { s.Env = map[string]string{"A": "1", "B": "2"} }, func(s *workflow.Step) { s.Env = map[string]string{"B": "2", "A": "1"} }},
	} {
		one, other := workflow.Step{Name: "a", Image: "image"}, workflow.Step{Name: "a", Image: "image"}
		tt.one(&one)
		tt.other(&other)
		if a, b := one.DigestConfiguration(workflow.Triggers{}), other.DigestConfiguration(workflow.Triggers{}); a != b {
			t.Errorf("%s: %s and %s", name, a, b)
		}
	}
}

// parseAgain returns a step as an engine in the cluster reads it.
func parseAgain(t *testing.T, step workflow.Step) (again workflow.Step) {
	t.Helper()
	text, err := json.Marshal(step)
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// A fan-out step as a whole depends on its items, and each index only on its own.
func TestFingerprintsOfIndexes(t *testing.T) {
	const seen = "0123456789abcdef0123456789abcdef"
	fan := func(items ...string) workflow.Step {
		return workflowtest.GraphOf(t, workflow.Step{Name: "fan", Image: "image", Completions: len(items), IsEmpty: len(items) == 0, Items: items}).Step("fan")
	}
	before, changed, longer := fan("a", "b"), fan("a", "c"), fan("a", "b", "c")
	steps := map[string]bool{}
	for _, step := range []workflow.Step{before, changed, longer, fan(), {Name: "fan", Configuration: before.Configuration}, {Name: "fan", Configuration: before.Configuration, Completions: 2}} {
		if step.Configuration != before.Configuration {
			t.Errorf("the configuration of %q is another one", step.Items)
		}
		steps[string(step.Fingerprint(seen))] = true
	}
	if len(steps) != 6 {
		t.Errorf("of six steps the fingerprints are %q", slices.Sorted(maps.Keys(steps)))
	}
	of := before.IndexFingerprints(seen)
	if other := changed.IndexFingerprints(seen); other["fan.0"] != of["fan.0"] || other["fan.1"] == of["fan.1"] {
		t.Errorf("the second item was changed: %v became %v", of, other)
	}
	if other := longer.IndexFingerprints(seen); other["fan.0"] != of["fan.0"] || other["fan.1"] != of["fan.1"] || len(other) != 3 {
		t.Errorf("an item was appended: %v became %v", of, other)
	}
	if of["fan.0"] == of["fan.1"] || of["fan.0"] == before.Fingerprint(seen) || fan("", "").IndexFingerprints(seen)["fan.0"] == (workflow.Step{Name: "fan", Configuration: before.Configuration, Completions: 2}).IndexFingerprints(seen)["fan.0"] {
		t.Errorf("two indexes have the same fingerprint: %v", of)
	}
}

// The format of fingerprints stays: another one would run every step of every run again.
func TestFingerprintFormat(t *testing.T) {
	const view = "0123456789abcdef0123456789abcdef"
	full, call := workflowtest.FullStep(), fullCall()
	full.Configuration = full.DigestConfiguration(workflow.Triggers{Run: map[string]string{"r": "1"}, Step: map[string]string{"s": "2"}, SecretEnvVersion: 3, Execution: "4"})
	fan := workflowtest.GraphOf(t, workflow.Step{Name: "fan", Image: "image", Command: []string{"true"}, Completions: 2, Items: []string{"a", "b"}}).Step("fan")
	seen, err := agent.DigestSeen(view, map[string]json.RawMessage{"x": json.RawMessage(`{"v":"integer","c":42}`)})
	if err != nil {
		t.Fatal(err)
	}
	if same, err := agent.DigestSeen(view, nil); err != nil || same != view {
		t.Errorf("a step that takes no results sees %s, %v", same, err)
	}
	for name, tt := range map[string]struct{ got, want string }{
		"a step":                   {string(full.Fingerprint(view)), "afbbbb39652799ede033aff1e626047c-0123456789abcdef0123456789abcdef"},
		"a call":                   {call.DigestConfiguration(workflow.Triggers{}), "272b2d5e033fbf0bdda0f8b004514ed3"},
		"a fan-out step":           {string(fan.Fingerprint(view)), "0934b3ff241e93377c9a05f37ba6490b-0123456789abcdef0123456789abcdef"},
		"an index":                 {string(fan.IndexFingerprints(view)["fan.1"]), "53471a235b98a55126e47d3f9389880e-0123456789abcdef0123456789abcdef"},
		"an index without an item": {agent.IndexConfiguration(fan.Configuration, 1, nil), "39f1690268facf71628266a6af64d12a"},
		"files and a taken result": {seen, "f488c197ff0c368e150da4c750e880ae"},
		"a step with nothing":      {workflow.Step{}.DigestConfiguration(workflow.Triggers{}), "44136fa355b3678a1146ad16f7e8649e"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: got %s, want %s", name, tt.got, tt.want)
		}
		for part := range strings.SplitSeq(tt.got, "-") {
			if len(part) != 32 {
				t.Errorf("%s: %s is not a part of a fingerprint", name, part)
			}
		}
	}
}

// The id of a run depends on its name and place alone, so that an apply finds a run of an earlier version of the provider.
func TestRunID(t *testing.T) {
	if id := workflow.RunID("wordcount", "https://k8s.example.org:6443", "brane"); id != "wordcount-e5abfc154a51137d" {
		t.Errorf("the id is now %s", id)
	}
	ids := map[string]bool{}
	for _, of := range [][3]string{{"a", "https://k8s", "ns"}, {"b", "https://k8s", "ns"}, {"a", "https://other", "ns"}, {"a", "https://k8s", "other"}, {"a", "https://k8sn", "s"}} {
		id := workflow.RunID(of[0], of[1], of[2])
		if again := workflow.RunID(of[0], of[1], of[2]); again != id || !strings.HasPrefix(id, of[0]+"-") || len(id) != len(of[0]+"-")+16 {
			t.Errorf("the id of %q is %s, and then %s", of, id, again)
		}
		ids[id] = true
	}
	if len(ids) != 5 {
		t.Errorf("of five runs the ids are %s", fmt.Sprint(slices.Sorted(maps.Keys(ids))))
	}
}
