package diagnostic_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// A denied request is explained by its cause: only a missing permission is remedied by a Role.
func TestDenialsAreExplained(t *testing.T) {
	jobs, secrets := schema.GroupResource{Group: "batch", Resource: "jobs"}, schema.GroupResource{Resource: "secrets"}
	for name, tt := range map[string]struct {
		err       error
		want, not []string
	}{
		"a permission": {
			apierrors.NewForbidden(jobs, "", errors.New(`User "system:serviceaccount:brane:brane" cannot create resource "jobs" in API group "batch" in the namespace "brane"`)),
			[]string{"kind: Role\n", "kind: RoleBinding\n", "namespace: brane"}, nil,
		},
		"a quota of Jobs": {
			apierrors.NewForbidden(jobs, "only-1", errors.New("exceeded quota: brane, requested: count/jobs.batch=1, used: count/jobs.batch=3, limited: count/jobs.batch=3")),
			[]string{"allows 3 count/jobs.batch, of which 3 are used", "kubectl -n brane delete jobs --field-selector status.successful=1"}, []string{"Role", "permission"},
		},
		"a quota of Secrets": {
			apierrors.NewForbidden(secrets, "token", errors.New("exceeded quota: brane, requested: secrets=1, used: secrets=9, limited: secrets=9")),
			[]string{"allows 9 secrets", "each long-lived token a Secret"}, []string{"Role", "permission"},
		},
		"a webhook": {
			apierrors.NewForbidden(jobs, "only-1", errors.New(`admission webhook "team.example.org" denied the request: label team is missing`)),
			[]string{`Admission webhook "team.example.org"`, "label team is missing"}, []string{"kind: Role"},
		},
		"a message that is not known": {apierrors.NewForbidden(jobs, "only-1", errors.New("no")), []string{"a Role does not change that"}, []string{"kind: Role"}},
	} {
		got := diagnostic.ErrorDetail("Creating a Job", fmt.Errorf(`create Job "only-1" in namespace "brane": %w`, tt.err))
		for _, want := range tt.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, got)
			}
		}
		for _, bad := range tt.not {
			if strings.Contains(got, bad) {
				t.Errorf("%s: %q is in\n%s", name, bad, got)
			}
		}
	}
}
