package provider_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
)

// everything is a full configuration for the protocol; fullestNamespace is one in HCL.
func (c trial) everything() object {
	return object{
		"name":                 c.namespace,
		"labels":               object{"example.org/team": "imaging"},
		"annotations":          object{"example.org/note": "n"},
		"pod_security":         object{"enforce": "baseline", "version": "v1.35"},
		"service_account":      object{"name": "submitter", "labels": object{"a": "b"}, "image_pull_secrets": []any{"of-others"}, "create_token_secret": true},
		"rules":                []any{object{"api_groups": []any{"batch"}, "resources": []any{"jobs"}, "verbs": []any{"create", "get"}}},
		"subjects":             []any{object{"kind": "Group", "name": "imaging"}},
		"resource_quota":       object{"requests.cpu": "1500m"},
		"limit_range":          object{"max": object{"cpu": "4000m"}},
		"network_policy":       object{"egress": object{"redis": object{"cidrs": []any{"198.51.100.10/32"}, "ports": []any{6379}}}},
		"registry_credentials": object{"r.example.org": object{"username": "u", "password_wo": "never-told", "password_wo_version": 3}},

		"deletion_protection": true, "deletion_policy": "retain", "timeouts": object{"create": "15m", "read": "3m", "update": "14m", "delete": "20m"},
	}
}

// The plan after an import is empty: by name and by identity, in a named cluster and in the default cluster.
func TestAccNamespaceImport(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]func(trial) object{
		"the smallest": func(c trial) object { return object{"name": c.namespace} },
		"the fullest":  trial.everything,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTrial(t)
			c.ok(c.speaker.configure(object{
				"kubernetes": object{"host": c.URL, "token": "unused"},
				"clusters":   object{"berlin": object{"host": c.URL, "token": "unused"}},
			}, false).Diagnostics)
			c.ok(c.apply(config(c)))
			schemas, err := c.GetResourceIdentitySchemas(t.Context(), &tfprotov6.GetResourceIdentitySchemasRequest{})
			must(t, err)
			typ := schemas.IdentitySchemas["brane_namespace"].ValueType()
			by := func(identity object) tfprotov6.ImportResourceStateRequest {
				return tfprotov6.ImportResourceStateRequest{Identity: &tfprotov6.ResourceIdentityData{IdentityData: c.encode(typ, build(typ, identity))}}
			}
			for how, tt := range map[string]struct {
				request  tfprotov6.ImportResourceStateRequest
				cluster  any
				identity string
			}{
				"by name":                     {tfprotov6.ImportResourceStateRequest{ID: c.namespace}, nil, "name=" + c.namespace},
				"by cluster and name":         {tfprotov6.ImportResourceStateRequest{ID: "berlin/" + c.namespace}, "berlin", "cluster=berlin name=" + c.namespace},
				"by identity":                 {by(object{"name": c.namespace}), nil, "name=" + c.namespace},
				"by identity and its cluster": {by(object{"cluster": "berlin", "name": c.namespace}), "berlin", "cluster=berlin name=" + c.namespace},
			} {
				imported := c.imported("brane_namespace", tt.request)
				want := config(c)
				want["cluster"] = tt.cluster
				plan, changes := imported.planned(want)
				if changes || failed(plan.Diagnostics) || len(plan.RequiresReplace) > 0 {
					before, after := c.answer(c.schema(), imported.state), c.answer(c.schema(), plan.PlannedState)
					for name, value := range after {
						if !value.Equal(before[name]) {
							t.Errorf("%s: the plan is not empty: %s\n%s: %s\nwas %s", how, tell(plan.Diagnostics), name, value, before[name])
						}
					}
				}
				if got := imported.identified(); got != tt.identity {
					t.Errorf("%s: identity %s, want %s", how, got, tt.identity)
				}
			}
		})
	}
}

// Before a namespace is adopted, the plan shows the changes to it.
func TestAccNamespaceAdoptionIsPlanned(t *testing.T) {
	t.Parallel()
	c := newTrial(t)
	config := object{"name": c.namespace, "labels": object{"team": "imaging"}, "adopt": true}
	if plan, _ := c.planned(config); len(plan.Diagnostics) > 0 {
		t.Errorf("there is nothing to adopt, and the plan reports %s", tell(plan.Diagnostics))
	}
	theirs := namespaceObject(c.setting)
	theirs.Labels = map[string]string{"team": "genomics"}
	must(t, c.client.Create(t.Context(), theirs))
	must(t, c.client.Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "brane"}}))
	plan, _ := c.planned(config)
	want := `WARNING: Existing namespace will be adopted: Namespace "` + c.namespace + `" exists and will be managed by this resource. These differences will be corrected:
- Namespace "` + c.namespace + `" has different labels: app.kubernetes.io/managed-by, team
- ServiceAccount "brane" is missing
- Role "brane" has different rules
- RoleBinding "brane" is missing`
	if got := tell(plan.Diagnostics); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c.ok(c.apply(config))
	c.ok(c.refresh())
	if _, changes := c.planned(config); changes {
		t.Error("after it the plan is not empty")
	}
	must(t, clustertest.Client(t).Get(t.Context(), theirs))
	if got := c.text(c.answer(c.schema(), c.state)["uid"]); got != string(theirs.UID) {
		t.Errorf("the namespace was replaced: %s", got)
	}
}
