package provider_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/clustertest"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// Acts with the credential that is registered: it can do in its namespace what its role says, and nothing else anywhere.
func TestAccLeastPrivilege(t *testing.T) {
	t.Parallel()
	s := acctest.NewEnv(t)
	other := clustertest.Namespace(t)
	everybody := s.CreateServiceAccount(t, other, "default")
	steps := map[namespace.Access]string{
		namespace.AccessRun:    acctest.InfrastructureConfig,
		namespace.AccessSubmit: strings.Replace(acctest.InfrastructureConfig, "\n}", "\n  access = \"submit\"\n}", 1),
	}
	check := func(access namespace.Access) func(*terraform.State) error {
		return func(*terraform.State) error {
			ctx := t.Context()
			registration, err := infra.Lookup(ctx, infra.NewDirectoryStore(s.Directory, infra.V06), s.Namespace)
			acctest.NoError(t, err)
			registered := acctest.NewClient(t, registration.Kubeconfig)
			return errors.Join(
				onlyRules(ctx, registered, everybody.Client, s.Namespace, access.Rules()),
				eachRight(ctx, registered, s.Namespace, access.Rules()),
				eachRight(ctx, registered, other, nil),
				eachRight(ctx, registered, "", nil),
				forbidden(ctx, registered, s.Namespace, other),
				kubectlList(t, registration.Kubeconfig, everybody.Kubeconfig, s.Namespace, access.Rules()),
			)
		}
	}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: acctest.ProviderFactories,
		Steps: []resource.TestStep{
			{Config: s.Config(t, steps[namespace.AccessRun]), Check: check(namespace.AccessRun)},
			{Config: s.Config(t, steps[namespace.AccessSubmit]), Check: check(namespace.AccessSubmit)},
		},
	})
}

// TestAccEnginePermissions enumerates what the service account that a run creates for its engine may do, while the engine is running: what its Role says, which
// test/documents compares with the guide, and nothing else anywhere.
func TestAccEnginePermissions(t *testing.T) {
	t.Parallel()
	s, c := acctest.NewEnv(t), acctest.NewCLI(t)
	other := clustertest.Namespace(t)
	steps := newHeldSteps(t, s.Getenv(t, "BRANE_BRIDGE_IP"))
	c.WriteFile(t, "main.tf", acctest.RequiredProviders+s.Config(t, acctest.NamespaceConfig+`
resource "brane_workflow_run" "test" {
  name      = "inside"
  namespace = brane_namespace.test.name
  wait      = false
  steps     = { held = { image = "$TOOLS", command = ["wget", "-q", "-O", "/dev/null", "`+steps.url+`"] } }
}

output "id" {
  value = brane_workflow_run.test.id
}
`))
	c.Run(t, "init", "-no-color")
	c.DestroyAtEnd(t)
	out := c.Run(t, "apply", "-auto-approve", "-no-color")
	steps.await(t, 1, bytes.NewBufferString(out))
	defer close(steps.release)

	ref := workflow.Ref{ID: c.Run(t, "output", "-raw", "id"), Namespace: s.Namespace}
	var accounts corev1.ServiceAccountList
	acctest.NoError(t, s.Client.List(t.Context(), &accounts, s.Namespace, ref.Selector()))
	if len(accounts.Items) != 1 {
		t.Fatalf("the run has %d service accounts", len(accounts.Items))
	}
	name := accounts.Items[0].Name
	rules := jobspec.BuildEngineAccount(ref, name, metav1.OwnerReference{}).Role.Rules
	engine, everybody := impersonate(t, s.Namespace, name), impersonate(t, other, "default")
	var unlimited []rbacv1.PolicyRule
	for _, rule := range rules {
		if len(rule.ResourceNames) == 0 {
			unlimited = append(unlimited, rule)
		}
	}
	acctest.NoError(t, errors.Join(
		onlyRules(t.Context(), engine, everybody, s.Namespace, rules),
		eachRight(t.Context(), engine, s.Namespace, unlimited),
		eachRight(t.Context(), engine, other, nil),
		eachRight(t.Context(), engine, "", nil),
		forbidden(t.Context(), engine, s.Namespace, other),
	))
}

// impersonate returns a client with the permissions of a service account.
func impersonate(t *testing.T, ns, name string) *kube.Client {
	t.Helper()
	config, err := kube.Connection{ConfigPath: clustertest.Getenv(t, "KUBECONFIG")}.Config()
	acctest.NoError(t, err)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + ns + ":" + name,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + ns, "system:authenticated"},
	}
	client, err := kube.New(config)
	acctest.NoError(t, err)
	return client
}

// onlyRules checks that an account has just these rules in a namespace beside those that everybody has.
func onlyRules(ctx context.Context, client, everybody *kube.Client, ns string, want []rbacv1.PolicyRule) error {
	rules := func(client *kube.Client) (lines []string, err error) {
		review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: ns}}
		if err := client.Create(ctx, review); err != nil {
			return nil, err
		}
		for _, rule := range review.Status.ResourceRules {
			lines = append(lines, ruleLine(rbacv1.PolicyRule{APIGroups: rule.APIGroups, Resources: rule.Resources, Verbs: rule.Verbs, ResourceNames: rule.ResourceNames}))
		}
		for _, rule := range review.Status.NonResourceRules {
			lines = append(lines, fmt.Sprint(rule.NonResourceURLs, rule.Verbs))
		}
		return lines, nil
	}
	has, err := rules(client)
	if err != nil {
		return err
	}
	common, err := rules(everybody)
	if err != nil {
		return err
	}
	var lines []string
	for _, rule := range want {
		lines = append(lines, ruleLine(rule))
	}
	return sameLines("rules", slices.DeleteFunc(has, func(line string) bool { return slices.Contains(common, line) }), lines)
}

func ruleLine(rule rbacv1.PolicyRule) string {
	var line []any
	for _, part := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs, rule.ResourceNames} {
		line = append(line, slices.Sorted(slices.Values(part)))
	}
	return fmt.Sprint(line...)
}

func sameLines(what string, got, want []string) error {
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s:\n%s\nand not\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	return nil
}

// Every verb on every resource by which one could see or do more than one should.
var (
	verbs     = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	resources = map[string][]string{
		"": {
			"pods", "pods/log", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "pods/eviction", "pods/ephemeralcontainers", "secrets", "configmaps", "events",
			"serviceaccounts", "serviceaccounts/token", "services", "services/proxy", "persistentvolumeclaims", "resourcequotas", "limitranges", "namespaces", "nodes", "nodes/proxy",
		},
		"batch":                     {"jobs", "jobs/status", "cronjobs"},
		"apps":                      {"deployments", "daemonsets"},
		"rbac.authorization.k8s.io": {"roles", "rolebindings", "clusterroles", "clusterrolebindings"},
		"networking.k8s.io":         {"networkpolicies"},
	}
)

// eachRight asks about every verb on every resource in a namespace, or in all of them: allowed is what a rule allows.
func eachRight(ctx context.Context, client *kube.Client, ns string, rules []rbacv1.PolicyRule) error {
	var wrong error
	for group, names := range resources {
		for _, name := range names {
			for _, verb := range verbs {
				base, sub, _ := strings.Cut(name, "/")
				review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
					ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: ns, Verb: verb, Group: group, Resource: base, Subresource: sub},
				}}
				if err := client.Create(ctx, review); err != nil {
					return err
				}
				want := slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
					return slices.Contains(rule.APIGroups, group) && slices.Contains(rule.Resources, name) && slices.Contains(rule.Verbs, verb)
				})
				if review.Status.Allowed != want {
					wrong = errors.Join(wrong, fmt.Errorf("%s %s of group %q in namespace %q: allowed is %t", verb, name, group, ns, review.Status.Allowed))
				}
			}
		}
	}
	return wrong
}

// forbidden tries in earnest what must not be.
func forbidden(ctx context.Context, client *kube.Client, own, other string) error {
	in := func(ns string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: "intruder"} }
	pod := corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "busybox"}}}
	for what, err := range map[string]error{
		"create a Job in another namespace": client.Create(ctx, &batchv1.Job{ObjectMeta: in(other), Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: pod}}}),
		"create a Pod":                      client.Create(ctx, &corev1.Pod{ObjectMeta: in(own), Spec: pod}),
		"list Pods of another namespace":    client.List(ctx, &corev1.PodList{}, other, ""),
		"list Pods of all namespaces":       client.List(ctx, &corev1.PodList{}, "", ""),
		"list Secrets":                      client.List(ctx, &corev1.SecretList{}, own, ""),
		"read a Secret":                     client.Get(ctx, &corev1.Secret{ObjectMeta: in(own)}),
		"overwrite a Secret":                client.Update(ctx, &corev1.Secret{ObjectMeta: in(own)}),
		"delete a Secret":                   client.Delete(ctx, &corev1.Secret{ObjectMeta: in(own)}),
		"list namespaces":                   client.List(ctx, &corev1.NamespaceList{}, "", ""),
		"create a Role":                     client.Create(ctx, &rbacv1.Role{ObjectMeta: in(own)}),
		"create a ClusterRoleBinding":       client.Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: in(""), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}}),
	} {
		if !apierrors.IsForbidden(err) {
			return fmt.Errorf("%s is not forbidden; the answer is %v", what, err) //nolint:errorlint // it may be none
		}
	}
	return nil
}

// kubectlList checks what `kubectl auth can-i --list` tells a user about the account beside what it tells everybody.
func kubectlList(t *testing.T, kubeconfig, everybody []byte, ns string, want []rbacv1.PolicyRule) error {
	t.Helper()
	kubectl := func(config []byte, args ...string) ([]byte, error) {
		file := filepath.Join(t.TempDir(), "kubeconfig")
		acctest.NoError(t, os.WriteFile(file, config, 0o600))
		return exec.CommandContext(t.Context(), "kubectl", append([]string{"--kubeconfig", file}, args...)...).CombinedOutput()
	}
	list := func(config []byte) (lines []string) {
		out, err := kubectl(config, "auth", "can-i", "--list", "-n", ns)
		if err != nil {
			t.Fatalf("kubectl: %v\n%s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return lines
	}
	common := list(everybody)
	var lines []string
	for _, rule := range want {
		name := rule.Resources[0]
		if rule.APIGroups[0] != "" {
			name += "." + rule.APIGroups[0]
		}
		lines = append(lines, fmt.Sprintf("%s [] [] %v", name, rule.Verbs))
	}
	out, err := kubectl(kubeconfig, "auth", "can-i", "create", "jobs", "-n", "default")
	if err == nil || strings.TrimSpace(string(out)) != "no" {
		return fmt.Errorf("kubectl does not say no to Jobs in another namespace, but %q", out)
	}
	return sameLines("kubectl auth can-i --list", slices.DeleteFunc(list(kubeconfig), func(line string) bool { return slices.Contains(common, line) }), lines)
}
