package workflow

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Limits of the kernel and of the API server.
const (
	MaxText      = 128<<10 - 1 // one argument or one variable, with the byte that ends it (MAX_ARG_STRLEN)
	maxStepTexts = 512 << 10   // all of them, as Linux counts them: it accepts 2 MiB (ARG_MAX), which the variables of the image are part of
	textOverhead = 8 + 1       // what Linux counts for one more text: its pointer, and the byte that ends it
	MaxIndexes   = 10_000      // indexes of a step, because the files of each are read and merged
)

// checker collects the problems of one step.
type checker struct {
	step     Step
	subject  string // of messages
	problems []error
}

// findProblems reports the problems of a step that do not depend on other steps, each as a [StepError].
func (s Step) findProblems() []error {
	c := &checker{step: s, subject: fmt.Sprintf("step %q", s.Name)}
	if problem := CheckName(s.Name); problem != "" {
		c.problems = append(c.problems, &StepError{Step: s.Name, Problem: fmt.Sprintf("step name %q: %s", s.Name, problem)})
	}
	c.checkSizes()
	c.checkIndexes()
	c.checkVariables()
	c.checkPatterns("reads", s.Reads)
	c.checkPatterns("writes", s.Writes)
	c.checkResources("requests", s.Resources.Requests)
	c.checkResources("limits", s.Resources.Limits)
	c.checkRequests()
	c.checkSecurityContext()
	c.checkVolumes()
	c.checkCall()
	return c.problems
}

// validateAgentSpecSize reports the steps whose description for the agent does not fit into one environment variable.
func (g Graph) validateAgentSpecSize() []error {
	const ofTheRun = 512 // enough for the name of the variable, the run's id, the attempt, the deadline, what the step sees and its files
	var problems []error
	for _, step := range g.All() {
		told := g.AgentSpec(step)
		told.Run, told.Deadline, told.Layer, told.Seen = "x", 1, "x", strings.Repeat("0", files.FingerprintPart)
		text, err := told.Encode()
		if err != nil {
			problems = append(problems, &StepError{Step: step.Name, Problem: err.Error()})
		} else if size := len(text) + ofTheRun; size > MaxText {
			problems = append(problems, &StepError{Step: step.Name, Problem: fmt.Sprintf(
				"step %q: the patterns of reads and writes that its pod is given have %d bytes, Linux accepts at most %d; use fewer patterns", step.Name, size, MaxText)})
		}
	}
	return problems
}

// CheckReads reports the steps that read files that cannot exist, each as a [StepError]: files that are neither inputs of the run nor
// written by a direct or indirect need. If one of the needs may write anything, this is not known.
func (g Graph) CheckReads(inputs []string) error {
	var problems []error
	for _, step := range g.All() {
		provided, isKnown := slices.Clone(inputs), true
		for name := range g.Ancestry(step.Name, func(string) bool { return false }) {
			if name != step.Name {
				provided = append(provided, g.steps[name].Writes...)
				isKnown = isKnown && len(g.steps[name].Writes) > 0
			}
		}
		for _, pattern := range step.Reads {
			if isKnown && !slices.ContainsFunc(provided, func(other string) bool { return files.MayMeet(pattern, other) }) {
				problems = append(problems, &StepError{Step: step.Name, Field: "reads", Problem: fmt.Sprintf("step %q reads %q, which is none of the inputs, and no step that it needs may write it", step.Name, pattern)})
			}
		}
	}
	return errors.Join(problems...)
}

func (c *checker) addProblem(field, key, format string, args ...any) {
	c.problems = append(c.problems, &StepError{Step: c.step.Name, Field: field, Key: key, Problem: c.subject + ": " + fmt.Sprintf(format, args...)})
}

// Check reports the problems of the engine's resources, each as a [StepError] without a step.
func (e EnginePod) Check() error {
	c := &checker{step: Step{Resources: e.Resources}, subject: "the engine"}
	c.checkResources("requests", e.Resources.Requests)
	c.checkResources("limits", e.Resources.Limits)
	c.checkRequests()
	return errors.Join(c.problems...)
}

func (c *checker) checkSizes() {
	total := 0
	for field, texts := range map[string][]string{"command": c.step.Command, "args": c.step.Args} {
		for i, text := range texts {
			total += len(text) + textOverhead
			c.checkText(field, "", text, "argument %d of %s", i, field)
			if len(text) > MaxText {
				c.addProblem(field, "", "argument %d of %s has %d bytes, Linux accepts at most %d; put the text into an input", i, field, len(text), MaxText)
			}
		}
	}
	for field, env := range map[string]map[string]string{"env": c.step.Env, "secret_env_wo": c.step.SecretEnv} {
		for _, name := range slices.Sorted(maps.Keys(env)) {
			size := len(name) + len("=") + len(env[name])
			total += size + textOverhead
			c.checkText(field, name, env[name], "variable %s", name)
			if size > MaxText {
				c.addProblem(field, name, "variable %s has %d bytes, Linux accepts at most %d; put the text into an input", name, size, MaxText)
			}
		}
	}
	if total > maxStepTexts {
		c.addProblem("", "", "command, args and env have %d bytes together, with %d for each text; a step can have at most %d; put them into an input", total, textOverhead, maxStepTexts)
	}
}

// checkText checks that a text can be passed to a command: it ends at its first NUL byte, and the API accepts only UTF-8.
func (c *checker) checkText(field, key, text, what string, args ...any) {
	if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
		c.addProblem(field, key, what+" has a NUL byte or is not UTF-8, and no command accepts that; put it into an input", args...)
	}
}

func (c *checker) checkIndexes() {
	field := "completions"
	if c.step.Items != nil {
		field = "items"
	}
	for i, item := range c.step.Items {
		c.checkText("items", "", item, "item %d", i)
		if size := len(agent.EnvItem) + len("=") + len(item); size > MaxText {
			c.addProblem("items", "", "item %d has %d bytes with the name of its variable, Linux accepts at most %d; put it into an input and let the index read it by %s", i, size, MaxText, agent.EnvStepIndex)
		}
	}
	switch {
	case c.step.Completions > MaxIndexes:
		c.addProblem(field, "", "%d indexes are more than %d; let each do more", c.step.Completions, MaxIndexes)
	case c.step.IsIndexed() && c.step.Call != nil:
		c.addProblem(field, "", "a function call has one result, so it cannot have indexes; let several steps call it")
	case !c.step.IsIndexed() && c.step.Parallel > 0:
		c.addProblem("parallelism", "", "parallelism needs completions or items")
	case !c.step.IsIndexed() && c.step.MaxFailedIndexes > 0:
		c.addProblem("max_failed_indexes", "", "max_failed_indexes needs completions or items")
	}
}

func (c *checker) checkVariables() {
	where := map[string]string{}
	for _, source := range []struct {
		field string
		names []string
	}{
		{"env", slices.Sorted(maps.Keys(c.step.Env))},
		{"env_from_secret", slices.Sorted(maps.Keys(c.step.EnvFromSecret))},
		{"secret_env_wo", slices.Sorted(maps.Keys(c.step.SecretEnv))},
	} {
		for _, name := range source.names {
			if other, found := where[name]; found {
				c.addProblem(source.field, name, "variable %s is in %s as well", name, other)
			}
			where[name] = source.field
			if slices.Contains(slices.Concat(agent.Handed, []string{agent.EnvIndex, agent.EnvStepIndex, agent.EnvItem}), name) {
				c.addProblem(source.field, name, "variable %s is one that Brane or Kubernetes sets itself", name)
			}
		}
	}
}

func (c *checker) checkPatterns(field string, patterns files.Patterns) {
	if err := patterns.Check(); err != nil {
		c.addProblem(field, "", "%v", err)
	}
}

// checkResources checks the names of resources: three of Kubernetes, and those with a domain, which device plugins provide.
func (c *checker) checkResources(kind string, list corev1.ResourceList) {
	for _, name := range slices.Sorted(maps.Keys(list)) {
		quantity := list[name]
		switch {
		case quantity.Sign() < 0:
			c.addProblem("resources", kind, "%s of %s is negative", kind, name)
		case IsComputeResource(name):
		case strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
		case !strings.Contains(string(name), "/") || len(validation.IsQualifiedName(string(name))) > 0:
			c.addProblem("resources", kind, "%q is not a resource of a container: cpu, memory, ephemeral-storage, or one with a domain such as nvidia.com/gpu", name)
		case !quantity.IsZero() && quantity.AsDec().Scale() > 0:
			c.addProblem("resources", kind, "%s is counted, and %s is not a whole number", name, quantity.String())
		}
	}
}

// IsComputeResource reports whether a resource is one of Kubernetes that every node has.
func IsComputeResource(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage
}

// checkRequests compares requests and limits like the API server.
func (c *checker) checkRequests() {
	of := c.step.Resources
	names := slices.Concat(slices.Collect(maps.Keys(of.Requests)), slices.Collect(maps.Keys(of.Limits)))
	isNode := func(name corev1.ResourceName) bool {
		return name == corev1.ResourceCPU || name == corev1.ResourceMemory
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) && !slices.ContainsFunc(names, isNode) {
			c.addProblem("resources", "limits", "%s needs a request or a limit of cpu or memory too", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.step.Resources.Requests)) {
		request := c.step.Resources.Requests[name]
		limit, limited := c.step.Resources.Limits[name]
		switch {
		case !IsComputeResource(name) && (!limited || request.Cmp(limit) != 0):
			c.addProblem("resources", "requests", "the request of %s has to be the same as its limit; leave the request out", name)
		case limited && request.Cmp(limit) > 0:
			c.addProblem("resources", "requests", "it requests %s of %s, more than its limit of %s", request.String(), name, limit.String())
		}
	}
}

var capability = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

func (c *checker) checkSecurityContext() {
	const field = "security_context"
	security := c.step.SecurityContext
	if security.RunAsGroup != nil && security.RunAsUser == nil {
		c.addProblem(field, "run_as_group", "run_as_group needs run_as_user: a container runtime takes no group without a user")
	}
	for _, name := range security.Capabilities {
		switch {
		case name == "ALL" || name == "SYS_ADMIN":
			c.addProblem(field, "capabilities", "capability %s makes a container privileged; privileged steps are not supported", name)
		case strings.HasPrefix(name, "CAP_"):
			c.addProblem(field, "capabilities", "capability %s: Kubernetes writes it %s", name, strings.TrimPrefix(name, "CAP_"))
		case !capability.MatchString(name):
			c.addProblem(field, "capabilities", "%q is not a capability; they are written as NET_RAW", name)
		}
	}
	if security.SeccompProfile != nil {
		c.checkSeccompProfile(field, *security.SeccompProfile)
	}
}

// checkSeccompProfile checks a profile as the API server would.
func (c *checker) checkSeccompProfile(field string, profile corev1.SeccompProfile) {
	isLocal := profile.Type == corev1.SeccompProfileTypeLocalhost
	file := ""
	if profile.LocalhostProfile != nil {
		file = *profile.LocalhostProfile
	}
	switch {
	case isLocal && file == "":
		c.addProblem(field, "seccomp_profile", "a seccomp profile of type Localhost needs localhost_profile")
	case !isLocal && file != "":
		c.addProblem(field, "seccomp_profile", "localhost_profile needs a seccomp profile of type Localhost, not %s", profile.Type)
	case path.IsAbs(file) || file != "" && path.Clean(file) != file || strings.HasPrefix(file, ".."):
		c.addProblem(field, "seccomp_profile", "localhost_profile %q is not a path below the kubelet's seccomp directory", file)
	}
}

// checkVolumes checks that the mounts of a step do not overlap with Brane's or with each other.
func (c *checker) checkVolumes() {
	taken := map[string]string{agent.Mount: "Brane", agent.DataMount: "Brane"}
	for _, volume := range c.step.Volumes {
		switch problems := validation.IsDNS1123Label(volume.Name); {
		case len(problems) > 0:
			c.addProblem("volumes", volume.Name, "volume %q: %s", volume.Name, strings.Join(problems, "; "))
		case slices.Contains(OwnVolumes, volume.Name):
			c.addProblem("volumes", volume.Name, "volume %q has a name that Brane uses itself", volume.Name)
		}
		switch {
		case !path.IsAbs(volume.MountPath) || path.Clean(volume.MountPath) != volume.MountPath || strings.ContainsAny(volume.MountPath, ":\x00"):
			c.addProblem("volumes", volume.Name, "volume %q: %q is not an absolute path of a directory without ., .. or a colon", volume.Name, volume.MountPath)
		case volume.MountPath == "/":
			c.addProblem("volumes", volume.Name, "volume %q would hide the whole image", volume.Name)
		}
		for _, other := range slices.Sorted(maps.Keys(taken)) {
			if owner := taken[other]; volume.MountPath == other || owner == "Brane" && strings.HasPrefix(volume.MountPath, other+"/") {
				c.addProblem("volumes", volume.Name, "volume %q: %s belongs to %s", volume.Name, other, owner)
			}
		}
		taken[volume.MountPath] = fmt.Sprintf("volume %q", volume.Name)
		if sub := volume.SubPath; sub != "" && (path.IsAbs(sub) || slices.Contains(strings.Split(sub, "/"), "..")) {
			c.addProblem("volumes", volume.Name, "volume %q: sub_path %q is not a path below the volume's root", volume.Name, sub)
		}
	}
}
