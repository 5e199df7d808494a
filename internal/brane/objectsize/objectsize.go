// Package objectsize computes whether an API server accepts an object of this size, so that a plan can report it before anything is created.
package objectsize

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The limits of an API server and its etcd, less what others add to an object: the status, default values, and annotations of controllers
// and of common webhooks.
const (
	MaxAnnotations = apivalidation.TotalAnnotationSizeLimitB - 4<<10 // keys and values of all annotations of an object: 256 KiB
	MaxData        = corev1.MaxSecretSize                            // values of all keys of a ConfigMap or a Secret: 1 MiB
	MaxObject      = 3<<19 - 64<<10                                  // an object as etcd stores it: 1.5 MiB
)

// Object is an object of the API, which can compute the size that etcd stores.
type Object interface {
	metav1.Object
	Size() int
}

// Part is the part of an object that is too large.
type Part string

// The parts of an object that have a limit.
const (
	Annotations Part = "annotations"
	Data        Part = "data"
	Whole       Part = "object"
)

// Error reports that an API server would not accept an object.
type Error struct {
	Part        Part
	Size, Limit int // in bytes
}

func (e *Error) Error() string {
	what := map[Part]string{
		Annotations: "its annotations have %d bytes of keys and values; an object can have at most %d",
		Data:        "its values have %d bytes together; it can have at most %d",
		Whole:       "it has %d bytes, with what the API server adds to it; it can have at most %d",
	}[e.Part]
	return fmt.Sprintf(what, e.Size, e.Limit)
}

// Check reports the first part of an object that is too large, as an [Error]. reserved is the size of what is added to the object before it
// is created.
func Check(object Object, reserved int) error {
	if size := sizeOf(object.GetAnnotations()); size > MaxAnnotations {
		return &Error{Annotations, size, MaxAnnotations}
	}
	if size := dataSize(object); size > MaxData {
		return &Error{Data, size, MaxData}
	}
	size, limit := object.Size(), MaxObject-reserved
	if size*(1+maxTracking) <= limit {
		return nil // most objects are small, and do not have to be encoded
	}
	tracked, err := trackingSize(object)
	if err != nil {
		return err
	}
	if size += tracked; size > limit {
		return &Error{Whole, size, limit}
	}
	return nil
}

// sizeOf returns the size of the keys and values of a map.
func sizeOf(texts map[string]string) (size int) {
	for key, value := range texts {
		size += len(key) + len(value)
	}
	return size
}

// dataSize returns what the API server limits in a ConfigMap or a Secret: their values.
func dataSize(object Object) (size int) {
	switch object := object.(type) {
	case *corev1.ConfigMap:
		for _, value := range object.Data {
			size += len(value)
		}
		for _, value := range object.BinaryData {
			size += len(value)
		}
	case *corev1.Secret:
		for _, value := range object.Data {
			size += len(value)
		}
		for key, value := range object.StringData {
			size += len(value) - len(object.Data[key])
		}
	}
	return size
}

// maxTracking is how many times larger than an object the names of its fields can be: a variable with a short name and no value has 5 bytes.
const maxTracking = 16

// trackingSize returns the size of the managed fields that the API server stores with an object: the name of each field. If an object has many
// short values, for example variables, it is larger than the object itself.
func trackingSize(object Object) (int, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return 0, fmt.Errorf("encode an object: %w", err)
	}
	var fields any
	if err := json.Unmarshal(text, &fields); err != nil {
		return 0, fmt.Errorf("decode an object: %w", err)
	}
	return countFields(fields), nil
}

// countFields returns the size of the managed fields for a value. It takes each list of objects for one whose elements are tracked by name.
func countFields(value any) (size int) {
	switch value := value.(type) {
	case map[string]any:
		for key, child := range value {
			size += len(`"f:":{},`) + len(key) + countFields(child)
		}
	case []any:
		for _, child := range value {
			if fields, isObject := child.(map[string]any); isObject {
				name, _ := fields["name"].(string)
				size += len(`"k:{\"name\":\"\"}":{".":{}},`) + len(name) + countFields(child)
			}
		}
	}
	return size
}
