package workflow

// EngineLabel is the label of the Job that executes a run inside the cluster, and of its pods, instead of the label of a step.
const EngineLabel = "brane/engine"

// Labels of all objects of a run; Jobs and Pods also have those of the step and of the attempt.
const (
	RunLabel     = "brane/run"
	StepLabel    = "brane/step"
	AttemptLabel = "brane/attempt"
)

const (
	StageContainer = "stage" // copies the agent and stages the files in
	StepContainer  = "step"  // the main container: the agent, which runs the command
)

// The volumes of every step.
const (
	AgentVolume   = "brane"
	DataVolume    = "data"
	RedisVolume   = "redis"
	ScratchVolume = "brane-scratch"
)

var ownVolumes = []string{AgentVolume, DataVolume, RedisVolume, ScratchVolume}
