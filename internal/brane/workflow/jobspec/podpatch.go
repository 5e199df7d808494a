package jobspec

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	yamlv3 "go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kubejson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// Pod patches. A user can change the finished pod template of a step or of an engine by strategic merge patches, as with kubectl and Kustomize.
// podguard.go checks that a patch leaves what the provider, the agent and the engine need.

// maxPodPatch limits the size of a patch as JSON: a Job has to fit into 1.5 MiB, and all steps of a detached run into 1 MiB. An alias in YAML can
// make a short text large.
const maxPodPatch = 64 << 10

// DecodeManifest decodes one document in YAML or JSON. Unknown fields, which the API server would drop silently, are errors with their path, and
// so are keys that occur twice. An error contains no values.
func DecodeManifest(text string, into any) error {
	document, err := convertToJSON(text)
	if err != nil {
		return err
	}
	return unmarshalStrict(document, into)
}

func convertToJSON(text string) ([]byte, error) {
	document, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return nil, err
	}
	decoder := yamlv3.NewDecoder(strings.NewReader(text))
	var node yamlv3.Node
	for range 2 {
		err = decoder.Decode(&node)
	}
	if !errors.Is(err, io.EOF) {
		return nil, errors.New("it contains more than one document, or text after the first one")
	}
	return document, nil
}

func unmarshalStrict(document []byte, into any) error {
	unknown, err := kubejson.UnmarshalStrict(document, into)
	return errors.Join(append(unknown, err)...)
}

// ParsePodPatch converts a strategic merge patch over a pod template, in YAML or JSON, to JSON in which equal patches are equal. Its fields are
// metadata and spec.
func ParsePodPatch(text string) (json.RawMessage, error) {
	document, err := convertToJSON(text)
	if err != nil {
		return nil, err
	}
	var patch any
	if err := kubejson.UnmarshalCaseSensitivePreserveInts(document, &patch); err != nil {
		return nil, err
	}
	if fields, isObject := patch.(map[string]any); !isObject || len(fields) == 0 {
		return nil, errors.New("it has neither metadata nor spec")
	}
	canonical, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	if len(canonical) > maxPodPatch {
		return nil, fmt.Errorf("it has %d bytes as JSON, more than %d", len(canonical), maxPodPatch)
	}
	return canonical, checkPodPatch(patch)
}

// checkPodPatch checks the fields and the directives of a patch.
func checkPodPatch(patch any) error {
	values, err := removeDirectives(patch, nil)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(values)
	if err != nil {
		return err
	}
	var template corev1.PodTemplateSpec
	if err := unmarshalStrict(plain, &template); err != nil {
		return fmt.Errorf("%w; its fields are those of a pod template, metadata and spec", err)
	}
	fields, _ := values.(map[string]any)
	metadata, _ := fields["metadata"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		if name != "labels" && name != "annotations" {
			return fmt.Errorf("metadata.%s: only labels and annotations can be patched", name)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(template.Labels)) {
		if workflow.IsReservedLabel(key) {
			return fmt.Errorf("metadata.labels: the provider or Kubernetes sets the label %s itself; remove it", key)
		}
	}
	return nil
}

// isDirective reports whether a key of a patch is one that Kubernetes defines, instead of a field.
func isDirective(key string) bool {
	return key == "$patch" || key == "$retainKeys" || strings.HasPrefix(key, "$setElementOrder/") || strings.HasPrefix(key, "$deleteFromPrimitiveList/")
}

// removeDirectives returns a patch without its directives, which are no fields of the API types.
func removeDirectives(value any, at *field.Path) (any, error) {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			below := at.Child(key)
			if strings.HasPrefix(key, "$") {
				if action := value[key]; !isDirective(key) || key == "$patch" && action != "replace" && action != "merge" && action != "delete" {
					return nil, fmt.Errorf("%s: unknown directive; there are $patch (replace, merge, delete), $retainKeys, $setElementOrder/… and $deleteFromPrimitiveList/…", below)
				}
				continue
			}
			child, err := removeDirectives(value[key], below)
			if err != nil {
				return nil, err
			}
			kept[key] = child
		}
		return kept, nil
	case []any:
		kept := make([]any, len(value))
		for i, element := range value {
			child, err := removeDirectives(element, at.Index(i))
			if err != nil {
				return nil, err
			}
			kept[i] = child
		}
		return kept, nil
	}
	return value, nil
}

// applyPodPatch returns a template with a patch. Errors contain no values of the patch.
func applyPodPatch(template corev1.PodTemplateSpec, patch json.RawMessage) (patched corev1.PodTemplateSpec, err error) {
	original, err := json.Marshal(template)
	if err != nil {
		return patched, err
	}
	merged, err := strategicpatch.StrategicMergePatch(original, patch, corev1.PodTemplateSpec{})
	if err != nil {
		return patched, hideValues(err)
	}
	if err := json.Unmarshal(merged, &patched); err != nil {
		return patched, errors.New("the patched pod template is not valid")
	}
	return patched, nil
}

// hideValues replaces those errors of package strategicpatch that contain a part of the patch.
func hideValues(err error) error {
	const missingKey = "does not contain declared merge key: "
	text := err.Error()
	if i := strings.LastIndex(text, missingKey); i >= 0 {
		return fmt.Errorf("an element of a list has no %q, by which elements are found", text[i+len(missingKey):])
	}
	if strings.Contains(text, "map[") {
		return errors.New("it is not a valid strategic merge patch")
	}
	return err
}

// PodPatchError reports that a patch changes what must stay in a pod.
type PodPatchError struct {
	Step    string // empty for the engine
	Index   int    // of the patch, among those of the step
	Problem string
}

func (e *PodPatchError) Error() string {
	if e.Step == "" {
		return "pod_patch of the engine: " + e.Problem
	}
	return fmt.Sprintf("pod_patch of step %q: %s", e.Step, e.Problem)
}

// patchTemplate applies the patches of a step, or of the engine, to a template. The error is a [PodPatchError] about the first patch that changes
// what must stay.
func patchTemplate(base corev1.PodTemplateSpec, guard podGuard, step string, patches []json.RawMessage) (corev1.PodTemplateSpec, error) {
	patched := base
	for i, patch := range patches {
		next, err := applyPodPatch(patched, patch)
		if err != nil {
			return base, &PodPatchError{step, i, err.Error()}
		}
		guard.removeForeignStage(base, &next)
		if problems := guard.findProblems(base, next); len(problems) > 0 {
			return base, &PodPatchError{step, i, strings.Join(problems, "; ")}
		}
		patched = next
	}
	return patched, nil
}

// checkedStart is what a step starts with whose Job is only checked.
var checkedStart = Start{Layer: "none", Seen: strings.Repeat("0", files.FingerprintPart)}

// CheckPodPatches reports the patches that change what must stay in the pods of steps, each as a [PodPatchError]. It checks each way in which the
// agent may get into the pods.
func CheckPodPatches(graph workflow.Graph, configured workflow.AgentInjection) (problems []error) {
	ways := []workflow.AgentInjection{workflow.InjectInitContainer, workflow.InjectImageVolume}
	if slices.Contains(ways, configured) {
		ways = []workflow.AgentInjection{configured}
	}
	for _, step := range graph.All() {
		if len(step.PodPatches) == 0 {
			continue
		}
		for _, injection := range ways {
			template := Template{Spec: &workflow.Spec{ID: "run", Graph: graph}, Injection: injection, Deadline: time.Unix(1, 0)}
			if _, err := template.BuildStepJob(step, Attempt{Number: 1, Start: checkedStart}); err != nil {
				problems = append(problems, err)
				break // the other way often has the same problem
			}
		}
	}
	return problems
}

// isBelow reports whether a path is a directory, or in it.
func isBelow(file, directory string) bool {
	file = path.Clean(file)
	return file == directory || strings.HasPrefix(file, directory+"/")
}
