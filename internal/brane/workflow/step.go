package workflow

import (
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Step is one container of a run. As JSON it is part of the run's [Identity]: what is left out there makes no other run, and what an older
// configuration cannot have must vanish where it is empty.
type Step struct {
	Name       string            `json:"name"`
	Image      string            `json:"image"`
	Command    []string          `json:"command"` // the program and its first arguments; none stands for those of the image, which must be there before a Job is made
	Args       []string          `json:"args,omitempty"`
	Call       *Call             `json:"call,omitempty"` // Command is branelet then, and has these arguments
	Env        map[string]string `json:"env,omitempty"`
	WorkingDir string            `json:"working_dir,omitempty"` // empty means the image's
	Needs      []string          `json:"needs,omitempty"`       // the steps that must be committed before this one starts
	Timeout    time.Duration     `json:"timeout,omitempty"`     // of the Job, with its start; 0 means none

	Completions      int      `json:"completions,omitempty"`        // more than 0: so many pods of one Indexed Job, which know their index
	Items            []string `json:"items,omitempty"`              // where there are any, one for each of the many
	Parallel         int32    `json:"parallelism,omitempty"`        // of the many at once; 0 means all
	MaxFailedIndexes int32    `json:"max_failed_indexes,omitempty"` // of the many, before those that still run are stopped; the step has failed all the same

	Retries      int32 `json:"retries,omitempty"` // how often a failed pod is made anew
	When         When  `json:"when,omitempty"`
	AllowFailure bool  `json:"allow_failure,omitempty"` // the run goes on, and is none the worse for it

	EnvFromSecret map[string]SecretKey `json:"env_from_secret,omitempty"`
	SecretEnv     map[string]string    `json:"-"` // more environment, kept in a Secret of the run and nowhere else; see Identity.SecretEnvVersion

	Reads  []string `json:"reads,omitempty"`  // patterns of what is staged in; none: everything
	Writes []string `json:"writes,omitempty"` // patterns of what the step may change; none: everything

	Resources                    Resources       `json:"resources,omitzero"`
	Placement                    Placement       `json:"placement,omitzero"`
	ServiceAccountName           string          `json:"service_account_name,omitempty"` // empty means the namespace's default one
	AutomountServiceAccountToken bool            `json:"automount_service_account_token,omitempty"`
	PullSecrets                  []string        `json:"pull_secrets,omitempty"` // none means those of the service account
	SecurityContext              SecurityContext `json:"security_context,omitzero"`
	Volumes                      []Volume        `json:"volumes,omitempty"` // beside the run's own files
}

// When says after which outcomes of the steps that it needs a step runs.
type When string

// The outcomes. A step that was not started, because something that it builds on went wrong, counts as failed.
const (
	OnSuccess When = ""        // all of them are committed, and nothing else of the run has failed
	OnFailure When = "failure" // all of them are over, and one has failed
	Always    When = "always"  // all of them are over
)

// SecretKey is one value of a Secret in the run's namespace.
type SecretKey struct {
	Secret string `json:"secret"`
	Key    string `json:"key"`
}

// Resources are what a step asks for and what it may take at most.
type Resources struct {
	Requests corev1.ResourceList
	Limits   corev1.ResourceList
}

// MarshalJSON writes plain numbers, so that quantities that are written in two ways and worth the same make the same run.
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

// Placement says on which nodes a step may run, and who goes first.
type Placement struct {
	NodeSelector      map[string]string   `json:"node_selector,omitempty"`
	Tolerations       []corev1.Toleration `json:"tolerations,omitempty"`
	Affinity          *corev1.Affinity    `json:"affinity,omitempty"`
	PriorityClassName string              `json:"priority_class_name,omitempty"`
	RuntimeClassName  string              `json:"runtime_class_name,omitempty"`
}

// SecurityContext is a step's part of the pod's and the container's security context. In all steps privilege escalation is forbidden and all capabilities
// but these are dropped.
type SecurityContext struct {
	RunAsUser              *int64                 `json:"run_as_user,omitempty"` // user ID of the program and of its files; nil means root, or the image's user where it is root
	RunAsGroup             *int64                 `json:"run_as_group,omitempty"`
	FSGroup                *int64                 `json:"fs_group,omitempty"` // owns the volumes that support it
	SupplementalGroups     []int64                `json:"supplemental_groups,omitempty"`
	ReadOnlyRootFilesystem bool                   `json:"read_only_root_filesystem,omitempty"`
	Capabilities           []string               `json:"capabilities,omitempty"`    // that are added, as NET_RAW, without CAP_
	SeccompProfile         *corev1.SeccompProfile `json:"seccomp_profile,omitempty"` // nil means RuntimeDefault
}

// Volume is a folder or a file of a step that is no part of the run's files.
type Volume struct {
	Name      string              `json:"name"`
	MountPath string              `json:"mount_path"`
	SubPath   string              `json:"sub_path,omitempty"`
	ReadOnly  bool                `json:"read_only,omitempty"`
	Source    corev1.VolumeSource `json:"source"`
}
