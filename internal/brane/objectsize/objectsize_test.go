package objectsize

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// object is what both this package and an API server know.
type object interface {
	Object
	kube.Object
}

// grown returns objects that grow with n, in each of the parts that have a limit, and the limit that they reach first.
func grown() map[string]func(n int) object {
	meta := func() metav1.ObjectMeta { return metav1.ObjectMeta{Name: "large"} }
	job := func(env []corev1.EnvVar, command ...string) *batchv1.Job {
		suspended := batchv1.Job{ObjectMeta: meta()}
		suspended.Spec = batchv1.JobSpec{Suspend: new(true), Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "a", Command: command, Env: env}},
		}}}
		return &suspended
	}
	return map[string]func(n int) object{
		"annotations": func(n int) object {
			object := &corev1.ConfigMap{ObjectMeta: meta()}
			object.Annotations = map[string]string{"a": strings.Repeat("x", n)}
			return object
		},
		"data of a ConfigMap": func(n int) object {
			return &corev1.ConfigMap{ObjectMeta: meta(), Data: map[string]string{"a": strings.Repeat("x", n)}}
		},
		"data of a Secret": func(n int) object {
			return &corev1.Secret{ObjectMeta: meta(), StringData: map[string]string{"a": strings.Repeat("x", n)}}
		},
		"a long command": func(n int) object { return job(nil, strings.Repeat("x", n)) },
		"many variables": func(n int) object {
			var env []corev1.EnvVar
			for i := range n / 64 {
				env = append(env, corev1.EnvVar{Name: fmt.Sprintf("A%d", i)})
			}
			return job(env, "a")
		},
		"many keys": func(n int) object {
			object := &corev1.ConfigMap{ObjectMeta: meta(), Data: map[string]string{}}
			for i := range n / 64 {
				object.Data[fmt.Sprintf("key-%0100d", i)] = ""
			}
			return object
		},
	}
}

// findLargest returns the largest n whose object is accepted.
func findLargest(t *testing.T, grow func(n int) object) int {
	t.Helper()
	low, high := 0, 4<<20
	for high-low > 1 {
		if middle := (low + high) / 2; Check(grow(middle), 0) == nil {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

// An object at the limit is accepted, and one byte more is an error that names the part.
func TestCheck(t *testing.T) {
	want := map[string]Part{
		"annotations": Annotations, "data of a ConfigMap": Data, "data of a Secret": Data,
		"a long command": Whole, "many variables": Whole, "many keys": Whole,
	}
	for name, grow := range grown() {
		t.Run(name, func(t *testing.T) {
			largest := findLargest(t, grow)
			err := Check(grow(largest+1), 0)
			if found := new(Error); !errors.As(err, &found) || found.Part != want[name] || found.Size <= found.Limit {
				t.Errorf("%d bytes: %v", largest+1, err)
			}
			if err := Check(grow(largest), 1); want[name] == Whole && name == "a long command" && err == nil {
				t.Error("what is reserved is not counted")
			}
		})
	}
}

// What is tracked of an object is never more than Check assumes for a small one.
func TestTrackingIsBounded(t *testing.T) {
	for name, grow := range grown() {
		for _, n := range []int{0, 64, 6400, 1 << 20} {
			object := grow(n)
			if tracked, err := trackingSize(object); err != nil || tracked > maxTracking*object.Size() {
				t.Errorf("%s with %d: %d bytes are tracked of %d; %v", name, n, tracked, object.Size(), err)
			}
		}
	}
}

// An API server accepts objects at the limits.
func TestAccLimits(t *testing.T) {
	testenv.RequireAcceptance(t)
	client, namespace := clustertest.Client(t), clustertest.Namespace(t)
	for name, grow := range grown() {
		t.Run(name, func(t *testing.T) {
			object := grow(findLargest(t, grow))
			object.SetNamespace(namespace)
			err := client.Create(t.Context(), object)
			if apierrors.IsAlreadyExists(err) {
				t.Fatal("an earlier object was not deleted")
			}
			if err != nil {
				t.Fatalf("an object of %d bytes: %.500v", object.Size(), err)
			}
			if err := client.Delete(t.Context(), object); err != nil {
				t.Error(err)
			}
		})
	}
}
