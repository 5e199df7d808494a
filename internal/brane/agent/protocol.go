// Package agent runs inside the pod of a step: it stages the files in, runs the command, and commits the files that the command has written.
//
// The init container runs [Stage]: it copies the agent into a volume, restores the files of the step and writes a specification with the Redis credential. The
// main container runs [Run]: it removes the specification before the command is started, then runs the command and commits. If the agent's image is mounted as a
// volume, there is no init container: [RunAlone] does everything, and reads the credential from its environment. This file and step.go are the whole protocol
// between package workflow, which creates the pod, and the agent inside it.
//
// The package depends on package files, and not on Kubernetes.
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

// Paths in the pod. Both containers mount two empty directories at Mount and DataMount; only the init container mounts the Secret.
const (
	ImageBinary = "/brane-agent"       // in the agent's image, the entry point of the init container
	Mount       = "/brane"             // the agent and, until the main container starts, the specification
	Binary      = "/brane/brane-agent" // the command of the main container
	ImageMount  = "/brane/image"       // the agent's image, if it is mounted as a volume; then Mount exists only if a witness needs it
	DataMount   = "/data"              // the files
	SecretMount = "/brane-secret"      // a path
	LastWords   = "/dev/termination-log"
	SecretKey   = "redis-url" // the key of the Secret, and so the name of the file
	// Optional keys of the Secret for rediss://, each PEM: the CA of the server's certificate, and the certificate and the key of the client.
	SecretCA   = "redis-ca"
	SecretCert = "redis-cert"
	SecretTLS  = "redis-key"
)

// Environment of the init container, or of the main container if there is no init container. Otherwise the main container has none of these variables: its
// environment belongs to the command.
const (
	EnvStep = "BRANE_STEP" // a Step as JSON; no secret
	EnvNode = "BRANE_NODE" // spec.nodeName, by the downward API
	EnvPod  = "BRANE_POD"  // metadata.name, by the downward API
	// The values of the Secret, for a main container without an init container.
	EnvURL  = "BRANE_ACCESS_URL"
	EnvCA   = "BRANE_ACCESS_CA"
	EnvCert = "BRANE_ACCESS_CERT"
	EnvTLS  = "BRANE_ACCESS_KEY"
	// EnvIndex is set by Kubernetes in all containers of an Indexed Job.
	EnvIndex = "JOB_COMPLETION_INDEX"
)

// Environment of the command of one index of a fan-out step, in addition to the environment of its container.
const (
	EnvStepIndex = "BRANE_INDEX" // from 0
	EnvItem      = "BRANE_ITEM"  // if the step has items
)

// Handed lists the variables that configure the agent. The command does not get them.
var Handed = []string{EnvStep, EnvNode, EnvPod, EnvURL, EnvCA, EnvCert, EnvTLS}

// StageArgs returns the arguments of the init container.
func StageArgs() []string { return []string{"stage"} }

// RunCommand returns the command of the main container: the agent, which runs the command of the step.
func RunCommand(command []string) []string {
	return append([]string{Binary, "run", "--"}, command...)
}

// AloneCommand returns the command of a main container without an init container: the agent from its image, which runs the command of the step.
func AloneCommand(command []string) []string {
	return append([]string{ImageMount + ImageBinary, "alone", "--"}, command...)
}
