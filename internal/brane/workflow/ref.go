package workflow

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Ref names a run in a cluster. It is all that is needed to find its objects.
type Ref struct{ ID, Namespace string }

// ObjectName returns the name of the run's record.
func (r Ref) ObjectName() string { return ObjectName("brane", r.ID) }

// EngineName returns the name of the ConfigMap from which the run's engine reads its configuration.
func (r Ref) EngineName() string { return ObjectName("brane", r.ID, "engine") }

// Each holder of a run's lease creates its own Secrets and never changes those of another one. So the service account that submits the Jobs needs no permission to
// read, change or delete Secrets: Kubernetes could not limit it to those of runs. The Secrets are deleted together with the record, which owns them.

// AccessName returns the name of the Secret with which the pods of a holder connect to Redis.
func (r Ref) AccessName(holder string) string { return ObjectName("brane", r.ID, holder) }

// SecretEnvName returns the name of the Secret with the steps' secret environment. It is separate from the other Secret, because the init
// container does not need it.
func (r Ref) SecretEnvName(holder string) string { return ObjectName("brane", r.ID, "env", holder) }

// EngineAccessName returns the name of the Secret with which the engine that a holder creates connects to Redis.
func (r Ref) EngineAccessName(holder string) string {
	return ObjectName("brane", r.ID, "engine", holder)
}

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
