package workflow

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// A fingerprint identifies what decides the result of a step. Its first part is a digest of the step's configuration, which is known during
// the plan; its second part is a digest of what the step sees, which is known when its needs have ended. A step with a stored result of the
// same fingerprint does not run again.

// configuration is what decides the result of a step, beside what it sees. As JSON it is the content of the first part of a fingerprint. What
// is not in it never causes a step to run again: the names of steps and needs, when the step runs, how often it is repeated, and how the
// cluster runs its pod.
type configuration struct {
	Image                        string               `json:"image,omitempty"`
	Command                      []string             `json:"command,omitempty"`
	Args                         []string             `json:"args,omitempty"`
	Call                         *Call                `json:"call,omitempty"`
	Env                          map[string]string    `json:"env,omitempty"`
	EnvFromSecret                map[string]SecretKey `json:"env_from_secret,omitempty"`
	SecretEnvVersion             int64                `json:"secret_env_version,omitempty"`
	WorkingDir                   string               `json:"working_dir,omitempty"`
	Reads                        []string             `json:"reads,omitempty"`
	Writes                       []string             `json:"writes,omitempty"`
	ServiceAccountName           string               `json:"service_account_name,omitempty"`
	AutomountServiceAccountToken bool                 `json:"automount_service_account_token,omitempty"`
	SecurityContext              SecurityContext      `json:"security_context,omitzero"`
	Volumes                      []Volume             `json:"volumes,omitempty"`
	HostAliases                  []corev1.HostAlias   `json:"host_aliases,omitempty"`
	DNSConfig                    *corev1.PodDNSConfig `json:"dns_config,omitempty"`
	PodPatches                   []json.RawMessage    `json:"pod_patches,omitempty"`
	Triggers                     map[string]string    `json:"triggers,omitempty"`
	RunTriggers                  map[string]string    `json:"run_triggers,omitempty"`
	Execution                    string               `json:"execution,omitempty"`
}

// Triggers are values that run a step again when they change.
type Triggers struct {
	Run              map[string]string // of the run
	Step             map[string]string // of the step
	SecretEnvVersion int64             // the version of the secret environment; 0 if the step has none
	Execution        string            // the execution of the run, if the step runs in each; empty otherwise
}

// DigestConfiguration returns the digest of what decides the step's result, beside what it sees. It does not depend on the items of a fan-out
// step, because each index has only one of them. The digest of a step without a command is that of its image, before the command of the image
// is known.
func (s Step) DigestConfiguration(triggers Triggers) string {
	return digestJSON(configuration{
		Image: s.Image, Command: s.Command, Args: s.Args, Call: s.Call, Env: s.Env, EnvFromSecret: s.EnvFromSecret, SecretEnvVersion: triggers.SecretEnvVersion,
		WorkingDir: s.WorkingDir, Reads: s.Reads, Writes: s.Writes, ServiceAccountName: s.ServiceAccountName,
		AutomountServiceAccountToken: s.AutomountServiceAccountToken, SecurityContext: s.SecurityContext, Volumes: s.Volumes, HostAliases: s.HostAliases,
		DNSConfig: s.DNSConfig, PodPatches: s.PodPatches, Triggers: triggers.Step, RunTriggers: triggers.Run, Execution: triggers.Execution,
	})
}

// fanOut is what decides the result of a fan-out step as a whole. As JSON it is the content of the first part of its fingerprint.
type fanOut struct {
	Configuration string   `json:"configuration"`
	Completions   int      `json:"completions"`
	Items         []string `json:"items,omitempty"`
}

// Fingerprint returns the fingerprint of the step, given what it sees. seen is empty if that is not known.
func (s Step) Fingerprint(seen string) files.Fingerprint {
	configuration := s.Configuration
	if s.IsIndexed() {
		configuration = digestJSON(fanOut{s.Configuration, s.Completions, s.Items})
	}
	return files.NewFingerprint(configuration, seen)
}

// IndexFingerprints returns the fingerprints of the indexes of a fan-out step by their names, as "fan.3", given what the step sees.
func (s Step) IndexFingerprints(seen string) map[string]files.Fingerprint {
	fingerprints := make(map[string]files.Fingerprint, s.Completions)
	for index := range s.Completions {
		fingerprints[IndexKey(s.Name, index)] = files.NewFingerprint(agent.IndexConfiguration(s.Configuration, index, s.itemOf(index)), seen)
	}
	return fingerprints
}

// itemOf returns the item of an index; nil if the step has no items.
func (s Step) itemOf(index int) *string {
	if index >= len(s.Items) {
		return nil
	}
	return &s.Items[index]
}

// DigestInputs returns the digest of the inputs of a run, given the digest of each.
func DigestInputs(digests map[string]string) string { return digestJSON(digests) }

func digestJSON(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // the values have only texts and numbers, which can always be encoded
	}
	return files.ShortDigest(data)
}
