package engine

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

const (
	managedByLabel = "app.kubernetes.io/managed-by"
	deadlineKey    = "deadline" // of the run object: when all Redis keys of the run expire, RFC 3339
	statusKey      = "status"   // of the run object: how the run ended; missing while it runs
)

// objectName returns the name of the run's ConfigMap and of its Secret.
func (r *Run) objectName() string { return workflow.ObjectName("brane", r.ID) }

func (r *Run) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: r.Namespace, Name: r.objectName(), Labels: map[string]string{managedByLabel: kube.FieldManager, workflow.RunLabel: r.ID}}
}

// record creates the run's ConfigMap with this holder, or reads the one of an earlier apply. It owns all other objects of the run, so that they are deleted with it, and
// contains the deadline that every writer of the run's keys must use.
func (r *Run) record(ctx context.Context, sign func(*corev1.ConfigMap)) (object *corev1.ConfigMap, made bool, err error) {
	for {
		object = &corev1.ConfigMap{ObjectMeta: r.meta()}
		object.Data = map[string]string{deadlineKey: time.Now().Add(r.Retention).UTC().Format(time.RFC3339)}
		sign(object)
		if err = r.Kube.Create(ctx, object); err == nil {
			return object, true, nil
		}
		if apierrors.IsAlreadyExists(err) {
			if err = r.Kube.Get(ctx, object); err == nil {
				return object, false, nil
			}
			if apierrors.IsNotFound(err) {
				continue // it was deleted in the meantime
			}
		}
		return nil, false, fmt.Errorf("create the record of run %q, %s: %w", r.ID, kube.Describe(object), err)
	}
}

// put creates an object of the run, or overwrites that of an earlier apply.
func (r *Run) put(ctx context.Context, object kube.Object) error {
	err := r.Kube.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		err = r.Kube.Update(ctx, object)
	}
	return err
}

// stepLabels returns the selector of the Jobs and pods of the run's steps, without those of an engine.
func (r *Run) stepLabels() string { return workflow.RunLabel + "=" + r.ID + "," + workflow.StepLabel }
