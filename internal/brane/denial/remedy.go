package denial

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Remedy returns what to do about a denial. namespace is that of the denied object; empty if it is not known.
func (d Denial) Remedy(namespace string) string {
	namespace = cmp.Or(d.Namespace, namespace)
	switch d.Cause {
	case Permission, Escalation:
		return d.permissionRemedy()
	case Quota:
		return d.quotaRemedy(namespace)
	case QuotaDemand:
		return fmt.Sprintf("ResourceQuota %q only admits containers that set these requests or limits. Set them in resources of the step or "+
			"of defaults, or let the namespace set them: "+
			"limit_range.default and limit_range.default_request of brane_namespace.", d.Name)
	case QuotaUnknown:
		return fmt.Sprintf("Kubernetes has not counted yet what ResourceQuota %q limits, which takes some seconds after the quota was "+
			"created or changed. Run Terraform again.", d.Name)
	case LimitRange:
		return "A LimitRange of the namespace denies it. Change requests and limits (resources of the step or of defaults) to what it " +
			"allows, or change the LimitRange: limit_range of brane_namespace, or " +
			see(namespace, "limitrange", "") + "."
	case PodSecurity:
		return d.podSecurityRemedy()
	case Webhook:
		return fmt.Sprintf("Admission webhook %q of the cluster does not allow this object; a Role does not change that. Change what its "+
			"message names, or ask who runs the webhook for an exemption.", d.Name)
	case WebhookError:
		return fmt.Sprintf("The API server could not call admission webhook %q. Repair the webhook, or its service, or ask who runs it; "+
			"then run Terraform again.", d.Name)
	case Policy:
		return fmt.Sprintf("ValidatingAdmissionPolicy %q of the cluster does not allow this object; a Role does not change that. Change "+
			"what its message names, or ask the administrator of the cluster for an exemption.", d.Name)
	case Terminating:
		return "The namespace is being deleted. Wait until it is gone, then run Terraform again."
	case MissingObject:
		return fmt.Sprintf("The pod refers to %q, which does not exist. Create it, or correct the name (service_account_name, "+
			"priority_class_name or runtime_class_name of the step).", d.Name)
	case Other:
	}
	return "An admission rule of the cluster does not allow this object; a Role does not change that. Change what the message names, or " +
		"ask the administrator of the cluster."
}

// see returns the kubectl command that shows an object.
func see(namespace, kind, name string) string {
	command := "kubectl"
	if namespace != "" {
		command += " -n " + namespace
	}
	return strings.TrimSpace(fmt.Sprintf("%s describe %s %s", command, kind, name))
}

func (d Denial) quotaRemedy(namespace string) string {
	if d.Name == "" {
		return "The cluster only admits what a ResourceQuota of the namespace allows explicitly, and none allows this. Ask the " +
			"administrator of the cluster for a quota: " + see(namespace, "resourcequota", "") + "."
	}
	names := slices.Sorted(maps.Keys(d.Requested))
	var allowed []string
	for _, name := range names {
		allowed = append(allowed, fmt.Sprintf("%s %s, of which %s are used and %s more are "+
			"requested", d.Limited[name], name, d.Used[name], d.Requested[name]))
	}
	text := fmt.Sprintf("ResourceQuota %q of the namespace allows %s. ", d.Name, strings.Join(allowed, "; "))
	var freed []string
	for _, name := range names {
		if hint := d.freeingHint(name, namespace); hint != "" && !slices.Contains(freed, hint) {
			freed = append(freed, hint)
		}
	}
	if d.NeverFits() {
		text += "That is more than the quota allows at all, so waiting does not help: request less, or raise the quota"
	} else {
		text += strings.Join(freed, " ") + " Or raise the quota"
	}
	return text + " (resource_quota of brane_namespace): " + see(namespace, "resourcequota", d.Name) + "."
}

// freeingHint returns how to free what a quota counts.
func (d Denial) freeingHint(resource, namespace string) string {
	kind := strings.TrimPrefix(resource, "count/")
	kind, _, _ = strings.Cut(kind, ".")
	in := ""
	if namespace != "" {
		in = " -n " + namespace
	}
	switch {
	case kind == "jobs":
		return "Finished Jobs count until they are deleted: destroy runs that are no longer needed, or delete finished Jobs " +
			"(kubectl" + in + " delete jobs --field-selector status.successful=1)."
	case kind == "secrets" || kind == "configmaps":
		return "Each run has a ConfigMap and up to three Secrets for each time it was started or continued, and each long-lived token a Secret: destroy runs that are no longer " +
			"needed, or delete unused objects."
	case resource == "pods":
		return "Wait until other pods have ended, or run fewer at the same time (parallelism)."
	case strings.HasPrefix(resource, "count/"):
		return "Delete objects that are no longer needed."
	}
	return "Wait until other pods have ended, request less (resources of the step), or run fewer pods at the same time (parallelism)."
}

func (d Denial) podSecurityRemedy() string {
	level, _, _ := strings.Cut(d.Name, ":")
	text := fmt.Sprintf("The namespace enforces the Pod Security level %q. ", level)
	switch {
	case strings.Contains(d.Text, "runAsNonRoot") || strings.Contains(d.Text, "runAsUser"):
		text += "Set security_context.run_as_user of the step to the ID of a user other than root"
	case strings.Contains(d.Text, "seccompProfile"):
		text += "Remove security_context.seccomp_profile from the step, or set its type to RuntimeDefault"
	case strings.Contains(d.Text, "capabilities"):
		text += "Remove what the message names from security_context.capabilities of the step"
	default:
		text += "Change the security_context or the volumes of the step to what it allows"
	}
	return text + ", or lower pod_security.enforce of brane_namespace."
}

const (
	serviceAccountPrefix = "system:serviceaccount:"
	anonymous            = "system:anonymous"
)

func (d Denial) permissionRemedy() string {
	if d.User == anonymous || d.User == "" {
		return "The request was sent without credentials that the API server knows, as " + anonymous + ". Do not grant permissions to that " +
			"user: they would be everybody's. " +
			"Correct the credentials in the kubernetes block of the provider, or in the kubeconfig."
	}
	manifest, err := d.manifest()
	if err != nil || len(d.Rules) == 0 {
		return fmt.Sprintf("User %q lacks the permission that the message names. Grant it with a Role or ClusterRole (see the guide "+
			"\"Permissions of the provider\"), then run Terraform again.", d.User)
	}
	text := fmt.Sprintf("User %q lacks a permission. An administrator of the cluster can grant it with `kubectl apply -f -` and this "+
		"input:\n\n%s\n", d.User, manifest)
	if strings.HasPrefix(d.User, serviceAccountPrefix+d.Namespace+":") {
		return text + "If a brane_namespace manages this service account, set its access to \"run\", or add the rule to its rules, instead. " +
			"Then run Terraform again."
	}
	return text + "The guide \"Permissions of the provider\" has all permissions that the provider needs. Then run Terraform again."
}

// manifest returns the Role that is missing, and its binding, as YAML. Without a namespace it is a ClusterRole.
func (d Denial) manifest() (string, error) {
	name := strings.Join([]string{"terraform-provider-brane", strings.ReplaceAll(d.Rules[0].Verb, "*", "all"), objectName(d.Rules[0])}, "-")
	if d.Cause == Escalation {
		name = "terraform-provider-brane-grant"
	}
	meta := metav1.ObjectMeta{Name: name, Namespace: d.Namespace}
	subject := rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: d.User}
	if namespace, account, found := strings.Cut(strings.TrimPrefix(d.User, serviceAccountPrefix), ":"); found && strings.HasPrefix(d.User, serviceAccountPrefix) {
		subject = rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}
	}
	role, binding := "Role", "RoleBinding"
	if d.Namespace == "" {
		role, binding = "ClusterRole", "ClusterRoleBinding"
	}
	kind := func(name string) metav1.TypeMeta {
		return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: name}
	}
	granted, err := yaml.Marshal(rbacv1.Role{TypeMeta: kind(role), ObjectMeta: meta, Rules: d.policyRules()}) // a ClusterRole has the same fields
	if err != nil {
		return "", err
	}
	bound, err := yaml.Marshal(rbacv1.RoleBinding{
		TypeMeta: kind(binding), ObjectMeta: meta, Subjects: []rbacv1.Subject{subject}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: role, Name: name},
	})
	return string(granted) + "---\n" + string(bound), err
}

// objectName returns what a rule is about as part of an object's name.
func objectName(rule Rule) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, cmp.Or(rule.Resource, rule.URL)), "-")
}

// policyRules returns the rules with the verbs of each resource together.
func (d Denial) policyRules() []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, rule := range d.Rules {
		added := rbacv1.PolicyRule{Verbs: []string{rule.Verb}}
		switch {
		case rule.URL != "":
			added.NonResourceURLs = []string{rule.URL}
		default:
			added.APIGroups, added.Resources = []string{rule.Group}, []string{rule.Resource}
			if rule.Name != "" {
				added.ResourceNames = []string{rule.Name}
			}
		}
		same := slices.IndexFunc(rules, func(other rbacv1.PolicyRule) bool {
			return slices.Equal(other.APIGroups, added.APIGroups) && slices.Equal(other.Resources, added.Resources) &&
				slices.Equal(other.ResourceNames, added.ResourceNames) && slices.Equal(other.NonResourceURLs, added.NonResourceURLs)
		})
		if same < 0 {
			rules = append(rules, added)
		} else if !slices.Contains(rules[same].Verbs, rule.Verb) {
			rules[same].Verbs = append(rules[same].Verbs, rule.Verb)
		}
	}
	return rules
}
