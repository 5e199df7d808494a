package namespace_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// newFullConfig returns a full configuration for the protocol; fullestNamespace is one in HCL.
func (c trial) newFullConfig() acctest.Object {
	return acctest.Object{
		"name":                 c.Namespace,
		"labels":               acctest.Object{"example.org/team": "imaging"},
		"annotations":          acctest.Object{"example.org/note": "n"},
		"common_labels":        acctest.Object{"example.org/cost": "4711", "example.org/team": "all"},
		"common_annotations":   acctest.Object{"example.org/contact": "admin@example.org"},
		"pod_security":         acctest.Object{"enforce": "baseline", "version": "v1.35"},
		"service_account":      acctest.Object{"name": "submitter", "labels": acctest.Object{"a": "b"}, "image_pull_secrets": []any{"of-others"}, "create_token_secret": true},
		"rules":                []any{acctest.Object{"api_groups": []any{"batch"}, "resources": []any{"jobs"}, "verbs": []any{"create", "get"}}},
		"subjects":             []any{acctest.Object{"kind": "Group", "name": "imaging"}},
		"resource_quota":       acctest.Object{"requests.cpu": "1500m"},
		"limit_range":          acctest.Object{"max": acctest.Object{"cpu": "4000m"}},
		"network_policy":       acctest.Object{"egress": acctest.Object{"redis": acctest.Object{"cidrs": []any{"198.51.100.10/32"}, "ports": []any{6379}}}},
		"registry_credentials": acctest.Object{"r.example.org": acctest.Object{"username": "u", "password_wo": "never-told", "password_wo_version": 3}},

		"deletion_protection": true, "deletion_policy": "retain", "timeouts": acctest.Object{"create": "15m", "read": "3m", "update": "14m", "delete": "20m"},
	}
}

// The plan after an import is empty: by name and by identity, in a named cluster and in the default cluster.
func TestAccNamespaceImport(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]func(trial) acctest.Object{
		"the smallest": func(c trial) acctest.Object { return acctest.Object{"name": c.Namespace} },
		"the fullest":  trial.newFullConfig,
		"with the label of Kubernetes": func(c trial) acctest.Object {
			return acctest.Object{"name": c.Namespace, "labels": acctest.Object{"kubernetes.io/metadata.name": c.Namespace, "team": "imaging"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTrial(t)
			c.RequireNoErrors(c.Protocol.Configure(acctest.Object{
				"kubernetes": acctest.Object{"host": c.URL, "token": "unused"},
				"clusters":   acctest.Object{"berlin": acctest.Object{"host": c.URL, "token": "unused"}},
			}, false).Diagnostics)
			c.RequireNoErrors(c.Apply(config(c)))
			// What other tools have added does not belong to the resource.
			others := `{"metadata":{"labels":{"others":"x","pod-security.kubernetes.io/audit":"restricted"},"annotations":{"others":"x"}}}`
			acctest.NoError(t, c.Client.MergePatch(t.Context(), namespaceObject(c.Env), []byte(others)))
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "brane"}}
			if name, ok := config(c)["service_account"]; ok {
				account.Name, _ = name.(acctest.Object)["name"].(string)
			}
			acctest.NoError(t, c.Client.MergePatch(t.Context(), account, []byte(`{"metadata":{"labels":{"others":"x"},"annotations":{"others":"x"}}}`)))
			schemas, err := c.GetResourceIdentitySchemas(t.Context(), &tfprotov6.GetResourceIdentitySchemasRequest{})
			acctest.NoError(t, err)
			typ := schemas.IdentitySchemas["brane_namespace"].ValueType()
			by := func(identity acctest.Object) tfprotov6.ImportResourceStateRequest {
				return tfprotov6.ImportResourceStateRequest{Identity: &tfprotov6.ResourceIdentityData{IdentityData: c.EncodeValue(typ, acctest.NewValue(typ, identity))}}
			}
			for how, tt := range map[string]struct {
				request  tfprotov6.ImportResourceStateRequest
				cluster  any
				identity string
			}{
				"by name":                     {tfprotov6.ImportResourceStateRequest{ID: c.Namespace}, nil, "name=" + c.Namespace},
				"by cluster and name":         {tfprotov6.ImportResourceStateRequest{ID: "berlin/" + c.Namespace}, "berlin", "cluster=berlin name=" + c.Namespace},
				"by identity":                 {by(acctest.Object{"name": c.Namespace}), nil, "name=" + c.Namespace},
				"by identity and its cluster": {by(acctest.Object{"cluster": "berlin", "name": c.Namespace}), "berlin", "cluster=berlin name=" + c.Namespace},
			} {
				imported := c.Import("brane_namespace", tt.request)
				want := config(c)
				want["cluster"] = tt.cluster
				plan, changes := imported.PlanChange(want)
				if changes || acctest.HasErrors(plan.Diagnostics) || len(plan.RequiresReplace) > 0 {
					before, after := c.DecodeAttributes(c.Schema(), imported.State), c.DecodeAttributes(c.Schema(), plan.PlannedState)
					for name, value := range after {
						if !value.Equal(before[name]) {
							t.Errorf("%s: the plan is not empty: %s\n%s: %s\nwas %s", how, acctest.FormatDiagnostics(plan.Diagnostics), name, value, before[name])
						}
					}
				}
				if got := imported.FormatIdentity(); got != tt.identity {
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
	config := acctest.Object{"name": c.Namespace, "labels": acctest.Object{"team": "imaging"}, "adopt": true}
	if plan, _ := c.PlanChange(config); len(plan.Diagnostics) > 0 {
		t.Errorf("there is nothing to adopt, and the plan reports %s", acctest.FormatDiagnostics(plan.Diagnostics))
	}
	theirs := namespaceObject(c.Env)
	theirs.Labels = map[string]string{"team": "genomics"}
	acctest.NoError(t, c.Client.Create(t.Context(), theirs))
	acctest.NoError(t, c.Client.Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: "brane"}}))
	plan, _ := c.PlanChange(config)
	want := `WARNING, AttributeName("adopt"): Service account can read existing Secrets: Whether namespace "` + c.Namespace + `" contains Secrets that this resource does not manage is not known, ` +
		`because the credentials of the provider do not permit to list them. Service account "brane" may create Jobs, and pods can mount every Secret of their namespace, so it can read all of them. ` +
		`Kubernetes cannot limit that. Use a dedicated namespace if that is not intended.
WARNING: Existing namespace will be adopted: Namespace "` + c.Namespace + `" exists and will be managed by this resource. These differences will be corrected:
- Namespace "` + c.Namespace + `" has different labels: app.kubernetes.io/managed-by, team
- ServiceAccount "brane" is missing
- Role "brane" has different rules
- RoleBinding "brane" is missing`
	if got := acctest.FormatDiagnostics(plan.Diagnostics); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	c.RequireNoErrors(c.Apply(config))
	c.RequireNoErrors(c.Refresh())
	if _, changes := c.PlanChange(config); changes {
		t.Error("after it the plan is not empty")
	}
	acctest.NoError(t, clustertest.Client(t).Get(t.Context(), theirs))
	if got := c.DecodeString(c.DecodeAttributes(c.Schema(), c.State)["uid"]); got != string(theirs.UID) {
		t.Errorf("the namespace was replaced: %s", got)
	}
}

// TestAccNamespaceForeignSecrets checks that a plan that adopts a namespace shows which Secrets the service account could read.
func TestAccNamespaceForeignSecrets(t *testing.T) {
	t.Parallel()
	c := newTrial(t)
	acctest.NoError(t, c.Client.Create(t.Context(), namespaceObject(c.Env)))
	for i := range 7 {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: fmt.Sprintf("theirs-%d", i)}, StringData: map[string]string{"k": "never-told"}}
		acctest.NoError(t, clustertest.Client(t).Create(t.Context(), secret))
	}
	if plan, _ := c.PlanChange(acctest.Object{"name": c.Namespace, "adopt": true}); !strings.Contains(acctest.FormatDiagnostics(plan.Diagnostics), "do not permit to list them") {
		t.Errorf("without the permission to list Secrets the plan says %s", acctest.FormatDiagnostics(plan.Diagnostics))
	}
	reader := metav1.ObjectMeta{Namespace: c.Namespace, Name: "reader"}
	acctest.NoError(t, clustertest.Client(t).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: reader, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list"}}},
	}))
	acctest.NoError(t, clustertest.Client(t).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: reader, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts"}},
	}))
	testenv.Await(t, "the Role", func(context.Context) (bool, error) {
		plan, _ := c.PlanChange(acctest.Object{"name": c.Namespace, "adopt": true}) // the API server learns of the Role a moment later
		return !strings.Contains(acctest.FormatDiagnostics(plan.Diagnostics), "do not permit to list them"), nil
	})
	const title, names = "Service account can read existing Secrets", "contains 7 Secrets that this resource does not manage, among them theirs-0, theirs-1, "
	rule := func(resource string, verb string) acctest.Object {
		return acctest.Object{"rules": []any{acctest.Object{"api_groups": []any{""}, "resources": []any{resource}, "verbs": []any{verb}}}}
	}
	for name, tt := range map[string]struct {
		permissions acctest.Object
		warns       bool
	}{
		"run":                    {acctest.Object{"access": "run"}, true},
		"submit":                 {acctest.Object{"access": "submit"}, true}, // the pods of Jobs can mount Secrets
		"read Secrets":           {rule("secrets", "get"), true},
		"create Secrets":         {rule("secrets", "create"), false},
		"create something else":  {rule("configmaps", "create"), false},
		"look at pods, and more": {rule("pods", "get"), false},
	} {
		plan, _ := c.PlanChange(acctest.MergeObjects(acctest.Object{"name": c.Namespace, "adopt": true}, tt.permissions))
		said := acctest.FormatDiagnostics(plan.Diagnostics)
		if strings.Contains(said, title) != tt.warns || strings.Contains(said, names) != tt.warns || strings.Contains(said, "never-told") {
			t.Errorf("%s: the plan says %s", name, said)
		}
	}
	c.RequireNoErrors(c.Apply(acctest.Object{"name": c.Namespace, "adopt": true}))
	c.RequireNoErrors(c.Refresh())
	if plan, _ := c.PlanChange(acctest.Object{"name": c.Namespace, "adopt": true}); len(plan.Diagnostics) > 0 {
		t.Errorf("after the adoption the plan says %s", acctest.FormatDiagnostics(plan.Diagnostics))
	}
}
