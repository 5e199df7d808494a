package workflow

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// RedisUsers configures whether a run gets a dedicated Redis user, which can only access the run's keys.
type RedisUsers string

// Values of RedisUsers.
const (
	UsersAuto    RedisUsers = "auto"    // create one; if the server does not allow that, the pods get the credential of RedisURL
	UsersRequire RedisUsers = "require" // create one, or fail
	UsersOff     RedisUsers = "off"     // the pods get the credential of RedisURL
)

// AgentInjection is how the agent gets into a step's pod.
type AgentInjection string

// The ways to inject the agent.
const (
	InjectAuto          AgentInjection = "auto"           // InjectImageVolume if it is known to work and to expose no more than the other, else InjectInitContainer
	InjectInitContainer AgentInjection = "init_container" // an init container copies the agent
	InjectImageVolume   AgentInjection = "image_volume"   // the agent's image is mounted as a volume
)

// Default timeouts for pods in a state that hardly ever ends by itself.
const (
	// DefaultStartupTimeout allows for a short failure of a registry: the kubelet retries after 10 s and after another 20 s.
	DefaultStartupTimeout = 35 * time.Second
	// DefaultSchedulingTimeout allows an autoscaler to add a node, which takes minutes.
	DefaultSchedulingTimeout = 5 * time.Minute
)

// PodTimeouts limit how long a pod may stay in such a state. Zero means 35 s for images and everything else that a container needs to
// start, and 5 minutes for a node.
type PodTimeouts struct{ Startup, Scheduling time.Duration }

// StartupOrDefault returns the timeout for everything that a container needs to start.
func (t PodTimeouts) StartupOrDefault() time.Duration {
	return cmp.Or(t.Startup, DefaultStartupTimeout)
}

// SchedulingOrDefault returns the timeout for a node.
func (t PodTimeouts) SchedulingOrDefault() time.Duration {
	return cmp.Or(t.Scheduling, DefaultSchedulingTimeout)
}

// Spec is what a run consists of. ID, Graph, Namespace, AgentImage and, for a new run, Retention must be set.
type Spec struct {
	ID          string // see [RunID]
	Graph       Graph
	Inputs      map[string]files.Source // path below /data → content
	InputDigest string                  // of the inputs, see [DigestInputs]: an engine continues only if it is the same; empty means that they never change
	Namespace   string
	Location    string // name of the cluster in Brane's configuration files
	Address     string // of the cluster in Brane's configuration files; empty means the address of the client
	Registry    string // host:port from which packages are pulled; needed only if there are any
	AgentImage  string
	Version     string // of the provider, which the programs in AgentImage must have; empty means any

	Users          RedisUsers     // empty means UsersAuto
	PodConnections int            // to Redis, on which a pod reads or stores files; 0 means the default of the agent
	Retention      time.Duration  // how long the files of the run are kept, except for its outputs
	Timeouts       PodTimeouts    // for pods that do not start
	Parallel       int            // Jobs of the run at the same time; 0 means no limit
	Prewarm        bool           // create Jobs one step early
	AgentInjection AgentInjection // empty means InjectAuto
	Metadata       Metadata       // of all Jobs and pods; that of a step takes precedence
	Engine         EnginePod      // of a detached run
	// Configuration is stored with the files of the run, for programs that do not have it. nil leaves what an earlier execution has stored.
	Configuration []byte
}

// EnginePod configures the pod of the engine that executes a detached run.
type EnginePod struct {
	Resources          Resources // replace those that the provider chooses, one by one
	Placement          Placement // TopologySpread is not used: there is one pod
	PullSecrets        []string  // empty means those of the service account
	ServiceAccountName string    // empty means the one with which the run is submitted
	Metadata           Metadata
	PodPatches         []json.RawMessage // as those of a step
}

// Ref returns the reference to the run.
func (s *Spec) Ref() Ref { return Ref{ID: s.ID, Namespace: s.Namespace} }
