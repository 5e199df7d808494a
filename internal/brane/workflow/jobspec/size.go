package jobspec

import (
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/objectsize"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

// agentSpecReserve is the size of what a Job gets when it is created: the description of the step for the agent, and the arguments of a call.
// Each is at most [workflow.MaxText].
const agentSpecReserve = 2 * workflow.MaxText

// CheckSizes reports the steps of a run whose Jobs the API server would not accept because of their size, and a Secret environment that it
// would not accept, each as a [workflow.StepError]. Only the graph and the metadata of the run have to be set.
func CheckSizes(spec *workflow.Spec) error {
	var problems []error
	owner := metav1.OwnerReference{
		APIVersion: "v1", Kind: "ConfigMap", Name: strings.Repeat("x", workflow.MaxIndexedName), UID: "00000000-0000-0000-0000-000000000000",
	}
	template := Template{Spec: spec, Injection: workflow.InjectInitContainer, Owner: owner}
	for _, step := range spec.Graph.All() {
		job, err := template.buildJob(step, Attempt{}, "")
		if err != nil {
			continue // CheckPodPatches reports it
		}
		if err := objectsize.Check(job, agentSpecReserve); err != nil {
			problems = append(problems, describeSize(step, err))
		}
	}
	if secret := BuildSecretEnv(spec, owner.Name, owner); secret != nil {
		if err := objectsize.Check(secret, 0); err != nil {
			problems = append(problems, &workflow.StepError{Field: "secret_env_wo", Problem: fmt.Sprintf(
				"the secret environment of all steps is in one Secret, which would be too large: %v; "+
					"put large values into Secrets of the namespace and use env_from_secret or volumes", err)})
		}
	}
	return errors.Join(problems...)
}

// describeSize returns the problem of a step whose Job is too large.
func describeSize(step workflow.Step, err error) error {
	problem := &workflow.StepError{Step: step.Name}
	if tooLarge := new(objectsize.Error); errors.As(err, &tooLarge) && tooLarge.Part == objectsize.Annotations {
		problem.Field = "annotations"
		problem.Problem = fmt.Sprintf("step %q: the Job would have the annotations of the run, of defaults and of the step: %v; "+
			"set fewer or shorter ones", step.Name, err)
		return problem
	}
	problem.Problem = fmt.Sprintf("step %q: the Job would be too large: %v; "+
		"put long texts of command, args and env into an input, and large annotations into a ConfigMap", step.Name, err)
	return problem
}
