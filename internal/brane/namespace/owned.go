package namespace

import (
	"encoding/json"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// fieldTree is the tree of fields that the API server stores for a field manager: "f:metadata" → "f:labels" → "f:team" → {}.
type fieldTree map[string]any

// ownFields returns the fields of an object that this package has applied and no other manager has changed since.
func ownFields(object metav1.Object) fieldTree {
	own := fieldTree{}
	for _, entry := range object.GetManagedFields() {
		if entry.Manager != kube.FieldManager || entry.Operation != metav1.ManagedFieldsOperationApply || entry.FieldsV1 == nil {
			continue
		}
		var found fieldTree
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &found) == nil { // otherwise it is a format of a later server, and the owner is not known
			maps.Copy(own, found)
		}
	}
	return own
}

func (f fieldTree) subtreeAt(path ...string) fieldTree {
	for _, step := range path {
		next, ok := f[step].(map[string]any)
		if !ok {
			return nil
		}
		f = next
	}
	return f
}

// ownedKeys returns the map keys that this package owns at a path.
func (f fieldTree) ownedKeys(path ...string) []string {
	var keys []string
	for field := range f.subtreeAt(path...) {
		if key, ok := strings.CutPrefix(field, "f:"); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// ownsField reports whether this package owns the field.
func ownsField(object metav1.Object, path ...string) bool {
	at := ownFields(object).subtreeAt(path[:len(path)-1]...)
	_, ok := at[path[len(path)-1]]
	return ok
}

// selectKeys returns the entries of these keys.
func selectKeys[K ~string, V any](from map[K]V, keys []string) map[K]V {
	picked := map[K]V{}
	for _, key := range keys {
		if value, ok := from[K(key)]; ok {
			picked[K(key)] = value
		}
	}
	return picked
}
