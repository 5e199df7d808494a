package workflow

import "time"

// Step is one container of a run.
type Step struct {
	Name       string            `json:"name"`
	Image      string            `json:"image"`
	Command    []string          `json:"command"` // the program and its first arguments; the image's own entry point is not used
	Args       []string          `json:"args,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	WorkingDir string            `json:"working_dir,omitempty"` // empty means the image's
	Needs      []string          `json:"needs,omitempty"`       // the steps that must be committed before this one starts
	Timeout    time.Duration     `json:"timeout,omitempty"`     // of the Job, with its start; 0 means none
	RunAsUser  *int64            `json:"run_as_user,omitempty"` // user id of the program and of its files; nil means root, or the image's user where it is root
}
