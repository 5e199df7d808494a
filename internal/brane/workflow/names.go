package workflow

import "strings"

// Labels of all objects of a run; Jobs and Pods also have those of the step and of the attempt.
const (
	RunLabel     = "brane/run"
	StepLabel    = "brane/step"
	AttemptLabel = "brane/attempt"
	// EngineLabel is the label of the Job that executes a run inside the cluster, and of its pods, instead of the label of a step.
	EngineLabel = "brane/engine"
	// ManagedByLabel is the label of the program that manages an object, with the value ManagedBy.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = "terraform-provider-brane"
)

// IsReservedLabel reports whether the provider or the Job controller sets this label of a Job or pod.
func IsReservedLabel(key string) bool {
	own := (Ref{}).ComponentLabels("")
	_, isOwn := own[key]
	return isOwn || strings.HasPrefix(key, "brane/") || strings.HasPrefix(key, "batch.kubernetes.io/") || key == "job-name" || key == "controller-uid"
}

// The containers of a step's pod.
const (
	StageContainer = "stage" // copies the agent and stages the files in
	StepContainer  = "step"  // the main container: the agent, which runs the command
)

// The volumes of a step's pod.
const (
	AgentVolume   = "brane"
	DataVolume    = "data"
	RedisVolume   = "redis"
	ScratchVolume = "brane-scratch"
)

// OwnVolumes are the names that no other volume of a step may have.
var OwnVolumes = []string{AgentVolume, DataVolume, RedisVolume, ScratchVolume}
