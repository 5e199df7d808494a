package workflow

import (
	"cmp"
	"encoding/json"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Step is one container of a run. As JSON it is part of the configuration of an engine. DigestConfiguration decides which of its fields run
// the step again when they change.
type Step struct {
	Name       string            `json:"name"`
	Image      string            `json:"image"`
	Command    []string          `json:"command"` // the executable and its first arguments; if empty, it is set to that of the image before a Job is created
	Args       []string          `json:"args,omitempty"`
	Call       *Call             `json:"call,omitempty"` // then Command is branelet with these arguments
	Env        map[string]string `json:"env,omitempty"`
	WorkingDir string            `json:"working_dir,omitempty"` // empty means the image's
	Needs      []string          `json:"needs,omitempty"`       // the steps that must be committed before this one starts
	Timeout    time.Duration     `json:"timeout,omitempty"`     // of the Job, from its start; 0 means none

	Completions      int      `json:"completions,omitempty"`        // number of indexes of a fan-out step; 0 means a single pod, unless IsEmpty is set
	Items            []string `json:"items,omitempty"`              // one for each index, or empty
	IsEmpty          bool     `json:"is_empty,omitempty"`           // it is a fan-out step without indexes, which is complete without a pod
	Parallel         int32    `json:"parallelism,omitempty"`        // indexes that run at the same time; 0 means DefaultParallel
	MaxFailedIndexes int32    `json:"max_failed_indexes,omitempty"` // failed indexes before the others are stopped; the step fails in any case

	Retries      int32 `json:"retries,omitempty"` // how often a failed pod is replaced
	When         When  `json:"when,omitempty"`
	AllowFailure bool  `json:"allow_failure,omitempty"` // the run continues and can still succeed

	EnvFromSecret map[string]SecretKey `json:"env_from_secret,omitempty"`
	SecretEnv     map[string]string    `json:"-"` // more environment, kept only in a Secret of the run; see Triggers.SecretEnvVersion

	Reads  []string `json:"reads,omitempty"`  // patterns of what is staged in; empty means everything
	Writes []string `json:"writes,omitempty"` // patterns of what the step may change; empty means everything

	Resources                    Resources       `json:"resources,omitzero"`
	Placement                    Placement       `json:"placement,omitzero"`
	ServiceAccountName           string          `json:"service_account_name,omitempty"` // empty means the namespace's default one
	AutomountServiceAccountToken bool            `json:"automount_service_account_token,omitempty"`
	PullSecrets                  []string        `json:"pull_secrets,omitempty"` // empty means those of the service account
	SecurityContext              SecurityContext `json:"security_context,omitzero"`
	DataSizeLimit                int64           `json:"data_size_limit,omitempty"` // of the files at /data, in bytes; 0 means none
	Volumes                      []Volume        `json:"volumes,omitempty"`         // in addition to the files of the run

	TerminationGracePeriod time.Duration        `json:"termination_grace_period,omitempty"` // 0 means the default of Kubernetes
	HostAliases            []corev1.HostAlias   `json:"host_aliases,omitempty"`
	DNSConfig              *corev1.PodDNSConfig `json:"dns_config,omitempty"`
	ResourceClaims         []ResourceClaim      `json:"resource_claims,omitempty"`

	// PodPatches are strategic merge patches over the pod template, as JSON, in the order in which they are applied.
	PodPatches []json.RawMessage `json:"pod_patches,omitempty"`

	Metadata Metadata `json:"metadata,omitzero"` // of the Job and its pods

	// Configuration is the result of DigestConfiguration. NewGraph computes it for a step without triggers if it is empty.
	Configuration string `json:"configuration,omitempty"`
}

// Metadata is what users add to the labels and annotations of Jobs and pods.
type Metadata struct {
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ResourceClaim is a device of dynamic resource allocation that the container uses.
type ResourceClaim struct {
	corev1.PodResourceClaim
	Request string `json:"request,omitempty"` // of the claim; empty means all of its requests
}

// When is after which outcomes of its needs a step runs.
type When string

// Values of When. A step that was not started because a step that it depends on has failed counts as failed.
const (
	OnSuccess When = ""        // all of them are committed, and nothing else of the run has failed
	OnFailure When = "failure" // all of them have ended, and one has failed
	Always    When = "always"  // all of them have ended
)

// SecretKey is one value of a Secret in the run's namespace.
type SecretKey struct {
	Secret string `json:"secret"`
	Key    string `json:"key"`
}

// Resources are the requests and limits of a step.
type Resources struct {
	Requests corev1.ResourceList
	Limits   corev1.ResourceList
}

// MarshalJSON writes plain numbers, so that equal quantities in different notations are equal.
func (r Resources) MarshalJSON() ([]byte, error) {
	plain := map[string]map[string]string{}
	for kind, list := range map[string]corev1.ResourceList{"requests": r.Requests, "limits": r.Limits} {
		for name, quantity := range list {
			if plain[kind] == nil {
				plain[kind] = map[string]string{}
			}
			plain[kind][string(name)] = quantity.AsDec().String()
		}
	}
	return json.Marshal(plain)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Resources) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &struct {
		Requests, Limits *corev1.ResourceList
	}{&r.Requests, &r.Limits})
}

// Placement selects the nodes on which a step may run, and its priority.
type Placement struct {
	NodeSelector      map[string]string   `json:"node_selector,omitempty"`
	Tolerations       []corev1.Toleration `json:"tolerations,omitempty"`
	Affinity          *corev1.Affinity    `json:"affinity,omitempty"`
	PriorityClassName string              `json:"priority_class_name,omitempty"`
	RuntimeClassName  string              `json:"runtime_class_name,omitempty"`
	SchedulerName     string              `json:"scheduler_name,omitempty"`
	// TopologySpread without a label selector counts the pods of the step.
	TopologySpread []corev1.TopologySpreadConstraint `json:"topology_spread,omitempty"`
}

// SecurityContext is a step's part of the pod's and the container's security context. In all steps privilege escalation is forbidden and
// all capabilities but these are dropped.
type SecurityContext struct {
	RunAsUser              *int64                 `json:"run_as_user,omitempty"` // user ID of the command and of its files; nil means the user of the image
	RunAsGroup             *int64                 `json:"run_as_group,omitempty"`
	FSGroup                *int64                 `json:"fs_group,omitempty"` // owns the volumes that support it
	SupplementalGroups     []int64                `json:"supplemental_groups,omitempty"`
	ReadOnlyRootFilesystem bool                   `json:"read_only_root_filesystem,omitempty"`
	Capabilities           []string               `json:"capabilities,omitempty"`    // that are added, as NET_RAW, without CAP_
	SeccompProfile         *corev1.SeccompProfile `json:"seccomp_profile,omitempty"` // nil means RuntimeDefault
}

// Volume is a directory or a file of a step that is not part of the files of the run.
type Volume struct {
	Name      string              `json:"name"`
	MountPath string              `json:"mount_path"`
	SubPath   string              `json:"sub_path,omitempty"`
	ReadOnly  bool                `json:"read_only,omitempty"`
	Source    corev1.VolumeSource `json:"source"`
}

// IsIndexed reports whether the step is a fan-out step.
func (s Step) IsIndexed() bool { return s.Completions > 0 || s.IsEmpty }

// DefaultParallel is how many indexes of a fan-out step run at the same time by default. The pods of all others would only wait, and each of them
// needs room in etcd and in the memory of the API server, the scheduler and the controllers.
const DefaultParallel int32 = 100

// ParallelOrDefault returns how many indexes run at the same time.
func (s Step) ParallelOrDefault() int32 { return cmp.Or(s.Parallel, DefaultParallel) }

// IndexKeys returns the names under which the indexes commit.
func (s Step) IndexKeys() []string {
	names := make([]string, s.Completions)
	for i := range names {
		names[i] = IndexKey(s.Name, i)
	}
	return names
}

// IndexKey returns the name under which an index of a fan-out step commits, as "fan.3".
func IndexKey(step string, index int) string { return step + "." + strconv.Itoa(index) }
