package jobspec

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/objectsize"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/workflowtest"
)

// What the API server would not accept is an error on the attribute that is too large.
func TestCheckSizes(t *testing.T) {
	annotations := func(size int) workflow.Metadata {
		return workflow.Metadata{Annotations: map[string]string{"a": strings.Repeat("x", size-1)}}
	}
	secrets := func(step string, size int) workflow.Step {
		return workflow.Step{Name: step, Image: "a", SecretEnv: map[string]string{"A": strings.Repeat("x", size)}}
	}
	var aliases []corev1.HostAlias
	for i := range 60_000 {
		aliases = append(aliases, corev1.HostAlias{IP: "203.0.113.7", Hostnames: []string{fmt.Sprintf("license-%d.example.org", i)}})
	}
	for name, tt := range map[string]struct {
		run   workflow.Metadata
		steps []workflow.Step
		want  string // the field and a part of the problem; empty if there is none
	}{
		"every field":                   {steps: []workflow.Step{{Name: "split"}, workflowtest.FullStep()}},
		"annotations at the limit":      {steps: []workflow.Step{{Name: "a", Metadata: annotations(objectsize.MaxAnnotations)}}},
		"annotations over the limit":    {steps: []workflow.Step{{Name: "a", Metadata: annotations(objectsize.MaxAnnotations + 1)}}, want: `annotations step "a": the Job would have`},
		"annotations of run and step":   {run: workflow.Metadata{Annotations: map[string]string{"b": "x"}}, steps: []workflow.Step{{Name: "a", Metadata: annotations(objectsize.MaxAnnotations)}}, want: `annotations step "a": the Job would have`},
		"annotations that are the same": {run: annotations(objectsize.MaxAnnotations), steps: []workflow.Step{{Name: "a", Metadata: annotations(objectsize.MaxAnnotations)}}},
		"texts and annotations": {
			steps: []workflow.Step{{Name: "a", Metadata: annotations(objectsize.MaxAnnotations), Args: slicesOf(4, 120<<10)}}},
		"texts that are escaped, and annotations": {
			steps: []workflow.Step{{Name: "a", Metadata: annotations(objectsize.MaxAnnotations), Args: []string{
				strings.Repeat("$", 120<<10), strings.Repeat("$", 120<<10), strings.Repeat("$", 120<<10), strings.Repeat("$", 120<<10),
			}}}, want: ` step "a": the Job would be too large`,
		},
		"host aliases":                  {steps: []workflow.Step{{Name: "a", HostAliases: aliases}}, want: ` step "a": the Job would be too large`},
		"secret variables at the limit": {steps: []workflow.Step{secrets("a", objectsize.MaxData/16), secrets("b", objectsize.MaxData/16)}},
		"secret variables of many steps": {steps: func() (steps []workflow.Step) {
			for i := range 17 {
				steps = append(steps, secrets(fmt.Sprintf("a%d", i), objectsize.MaxData/16))
			}
			return steps
		}(), want: `secret_env_wo the secret environment of all steps is in one Secret`},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckSizes(&workflow.Spec{Graph: workflowtest.GraphOf(t, tt.steps...), Metadata: tt.run})
			got := ""
			if problem := new(workflow.StepError); errors.As(err, &problem) {
				got = problem.Field + " " + problem.Problem
			}
			if (got == "") != (tt.want == "") || !strings.HasPrefix(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func slicesOf(count, size int) (texts []string) {
	for range count {
		texts = append(texts, strings.Repeat("x", size))
	}
	return texts
}
