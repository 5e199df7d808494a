package workflow

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Ref names a run in a cluster. It is all that is needed to find its objects.
type Ref struct{ ID, Namespace string }

// ObjectName returns the name of the run's record and of the Secret with which its pods connect to Redis.
func (r Ref) ObjectName() string { return ObjectName("brane", r.ID) }

// SecretEnvName returns the name of the Secret with the steps' secret environment. It is separate from the other Secret, because the init
// container does not need it.
func (r Ref) SecretEnvName() string { return ObjectName("brane", r.ID, "env") }

// EngineName returns the name of the ConfigMap and of the Secret from which the run's engine reads its configuration.
func (r Ref) EngineName() string { return ObjectName("brane", r.ID, "engine") }

// Meta returns the metadata of an object of the run. Objects other than the record replace the name.
func (r Ref) Meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: r.Namespace, Name: r.ObjectName(), Labels: map[string]string{ManagedByLabel: ManagedBy, RunLabel: r.ID}}
}

// Selector returns the selector of all objects of the run.
func (r Ref) Selector() string { return RunLabel + "=" + r.ID }

// StepsSelector returns the selector of the Jobs and pods of the run's steps, without those of an engine.
func (r Ref) StepsSelector() string { return r.Selector() + "," + StepLabel }

// StepSelector returns the selector of the Jobs and pods of one step.
func (r Ref) StepSelector(step string) string { return r.StepsSelector() + "=" + step }

// EngineSelector returns the selector of the Jobs and pods of the run's engines.
func (r Ref) EngineSelector() string { return r.Selector() + "," + EngineLabel }

// ComponentLabels returns the labels of all Jobs and pods of a component, which is step or engine: Kubernetes' recommended ones and the
// run's.
func (r Ref) ComponentLabels(component string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":      "brane-" + component,
		"app.kubernetes.io/instance":  r.ID,
		"app.kubernetes.io/component": component,
		"app.kubernetes.io/part-of":   "brane",
		ManagedByLabel:                ManagedBy,
		RunLabel:                      r.ID,
	}
}
