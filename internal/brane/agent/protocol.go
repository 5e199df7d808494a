// Package agent is what runs inside a step's pod: it stages the files in, runs the program, and commits what it left.
//
// The init container runs [Stage]: it copies the agent beside the program, restores the step's files and leaves a
// specification with the Redis credential. The main container runs [Run]: it takes the specification away before the user's
// program exists, then runs the program and commits. Where the node mounts the agent's image as a volume, there is no init
// container: [RunAlone] does all of it, and finds the credential in its environment. This file and step.go are the whole
// protocol between the engine that builds the pod and the agent inside it.
//
// It knows the file layer and nothing of Kubernetes.
package agent

// Exit codes of the agent's own. Every other code is the command's: 128+n if signal n ended it, 126 and 127 if it could not be started. A command that exits
// with 204 or 205 by itself fails with 1, because Kubernetes acts on these two codes alone.
const (
	ExitStageIn  = 201 // the command was not started
	ExitStageOut = 202 // the command succeeded, but its files could not be stored; nothing was published
	ExitNoResult = 203 // the command of a Brane package succeeded, but printed no result, or one that is too large; nothing was published
	// ExitStopped: the container received a signal to stop before the command had ended by itself, whatever the command exited with; nothing was published.
	// The Job creates another pod.
	ExitStopped = 204
	// ExitCancelled: the run was cancelled before the command had ended by itself; nothing was published. The Job fails, and creates no other pod.
	ExitCancelled = 205
)

// Where things are in the pod. Both containers mount the two empty folders at Mount and DataMount; only the init
// container has the Secret.
const (
	ImageBinary = "/brane-agent"       // in the agent's image: the entry point of the init container
	Mount       = "/brane"             // the agent and, for a moment, the specification
	Binary      = "/brane/brane-agent" // what the main container runs
	ImageMount  = "/brane/image"       // the agent's image, where it is a volume; Mount is another one only where a witness needs it
	DataMount   = "/data"              // the files
	SecretMount = "/brane-secret"      // a path
	LastWords   = "/dev/termination-log"
	SecretKey   = "redis-url" // the key of the Secret, hence the file's name
	// Optional keys of the Secret for rediss://, each PEM: the authority that signed the server's certificate, and a client's certificate and key.
	SecretCA   = "redis-ca"
	SecretCert = "redis-cert"
	SecretTLS  = "redis-key"
)

// Environment of the init container, or of the only one. Beside an init container the main container gets none of it: its environment is the program's.
const (
	EnvStep = "BRANE_STEP" // a Step as JSON; no secret
	EnvNode = "BRANE_NODE" // spec.nodeName, by the downward API
	EnvPod  = "BRANE_POD"  // metadata.name, by the downward API
	// The values of the Secret, for a container that is the only one.
	EnvURL  = "BRANE_ACCESS_URL"
	EnvCA   = "BRANE_ACCESS_CA"
	EnvCert = "BRANE_ACCESS_CERT"
	EnvTLS  = "BRANE_ACCESS_KEY"
	// EnvIndex is set by Kubernetes in all containers of an Indexed Job.
	EnvIndex = "JOB_COMPLETION_INDEX"
)

// Environment of the program of a step that is one of many, beside what its container has.
const (
	EnvStepIndex = "BRANE_INDEX" // from 0
	EnvItem      = "BRANE_ITEM"  // where the step has items
)

// Handed are the variables by which an agent is told what to do. No program gets them.
var Handed = []string{EnvStep, EnvNode, EnvPod, EnvURL, EnvCA, EnvCert, EnvTLS}

// StageArgs are the arguments of the init container.
func StageArgs() []string { return []string{"stage"} }

// RunCommand is the command of the main container: the agent around the program.
func RunCommand(program []string) []string {
	return append([]string{Binary, "run", "--"}, program...)
}

// AloneCommand is the command of the only container: the agent from its image, around the program.
func AloneCommand(program []string) []string {
	return append([]string{ImageMount + ImageBinary, "alone", "--"}, program...)
}
