package namespace

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/brane/objectsize"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// ValidateConfig reports contradictions between attributes. The validators of the schema check the values themselves.
func (r *namespaceResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	if !attribute.CheckElements(req.Config, &resp.Diagnostics) {
		return
	}
	get := func(into any, at path.Path) {
		resp.Diagnostics.Append(req.Config.GetAttribute(ctx, at, into)...)
	}
	var m metadata
	account := path.Root("service_account")
	get(&m.name, path.Root("name"))
	get(&m.labels, path.Root("labels"))
	get(&m.annotations, path.Root("annotations"))
	get(&m.commonLabels, path.Root("common_labels"))
	get(&m.commonAnnotations, path.Root("common_annotations"))
	get(&m.accountLabels, account.AtName("labels"))
	get(&m.accountAnnotations, account.AtName("annotations"))
	m.refuseReserved(&resp.Diagnostics)
	m.checkSizes(&resp.Diagnostics)

	var security types.Object
	get(&security, path.Root("pod_security"))
	checkPodSecurity(ctx, security, &resp.Diagnostics)
	var subjects types.Set
	get(&subjects, path.Root("subjects"))
	checkSubjects(ctx, subjects, &resp.Diagnostics)
	amounts := map[string]types.Map{}
	for _, name := range []string{"default", "default_request", "max", "min"} {
		var of types.Map
		get(&of, path.Root("limit_range").AtName(name))
		amounts[name] = of
	}
	checkLimitRange(amounts, &resp.Diagnostics)
}

// metadata contains the labels and annotations of a configuration or a plan.
type metadata struct {
	name                              types.String
	labels, annotations               types.Map
	commonLabels, commonAnnotations   types.Map
	accountLabels, accountAnnotations types.Map
}

func (m namespaceModel) metadata() metadata {
	found := metadata{name: m.Name, labels: m.Labels, annotations: m.Annotations, commonLabels: m.CommonLabels, commonAnnotations: m.CommonAnnotations}
	if a := m.ServiceAccount; a != nil {
		found.accountLabels, found.accountAnnotations = a.Labels, a.Annotations
	}
	return found
}

// refuseReserved adds an error for each key that the provider or Kubernetes sets. It is repeated before an apply, for values that were not
// known before.
func (m metadata) refuseReserved(diags *diag.Diagnostics) {
	account := path.Root("service_account")
	attribute.RefuseKeys(path.Root("labels"), m.labels, m.reservedLabel, diags)
	attribute.RefuseKeys(path.Root("annotations"), m.annotations, reservedAnnotation, diags)
	attribute.RefuseKeys(path.Root("common_labels"), m.commonLabels, m.reservedLabel, diags)
	attribute.RefuseKeys(path.Root("common_annotations"), m.commonAnnotations, reservedAnnotation, diags)
	attribute.RefuseKeys(account.AtName("labels"), m.accountLabels, func(key, _ string) string { return reservedMark(key) }, diags)
	attribute.RefuseKeys(account.AtName("annotations"), m.accountAnnotations, reservedAnnotation, diags)
}

// checkSizes adds an error if an object would have more annotations than Kubernetes allows, with those of all objects.
func (m metadata) checkSizes(diags *diag.Diagnostics) {
	for _, own := range []struct {
		at      path.Path
		entries types.Map
	}{{path.Root("annotations"), m.annotations}, {path.Root("service_account").AtName("annotations"), m.accountAnnotations}} {
		if len(own.entries.Elements()) == 0 || len(m.commonAnnotations.Elements()) == 0 {
			continue // its attribute is checked on its own
		}
		merged := &corev1.Namespace{}
		merged.Annotations = attribute.MergeTexts(own.entries, m.commonAnnotations)
		if err := objectsize.Check(merged, 0); err != nil {
			diags.AddAttributeError(own.at, "Annotations too large", fmt.Sprintf("%s with common_annotations: the object cannot be created, because %v.", own.at, err))
		}
	}
}

func (m metadata) reservedLabel(key, value string) string {
	switch mode, isLevel := strings.CutPrefix(key, namespace.PodSecurityPrefix); {
	case isLevel:
		return fmt.Sprintf("set Pod Security levels with pod_security, here %s; remove this label", podSecurityAttribute(mode))
	case key == corev1.LabelMetadataName && !m.name.IsUnknown() && value != m.name.ValueString():
		return fmt.Sprintf("Kubernetes sets this label to the name of the namespace, %q; remove it", m.name.ValueString())
	}
	return reservedMark(key)
}

// podSecurityAttribute returns the attribute for a label of Pod Security admission.
func podSecurityAttribute(mode string) string {
	if strings.HasSuffix(mode, "-version") {
		return "pod_security.version"
	}
	return "pod_security." + mode
}

func reservedMark(key string) string {
	switch key {
	case namespace.ManagedByLabel:
		return fmt.Sprintf("the provider sets this label to %q, and recognizes its objects by it; remove it", namespace.ManagedBy)
	case namespace.RunLabel:
		return "the provider recognizes the objects of runs by this label; remove it"
	}
	return ""
}

func reservedAnnotation(key, _ string) string {
	if strings.HasPrefix(key, namespace.AnnotationPrefix) {
		return fmt.Sprintf("the prefix %s is reserved for settings that the provider stores; remove it", namespace.AnnotationPrefix)
	}
	return ""
}

// checkPodSecurity refuses a version without a level, which would have no effect.
func checkPodSecurity(ctx context.Context, object types.Object, diags *diag.Diagnostics) {
	var levels podSecurityModel
	if !attribute.DecodeObject(ctx, object, &levels, diags) {
		return
	}
	if !levels.Version.IsNull() && levels.Enforce.IsNull() && levels.Audit.IsNull() && levels.Warn.IsNull() {
		at := path.Root("pod_security").AtName("version")
		diags.AddAttributeError(at, "Version without a level", fmt.Sprintf("%s has no effect without a level. Set enforce, audit or warn, or remove it.", at))
	}
}

func checkSubjects(ctx context.Context, subjects types.Set, diags *diag.Diagnostics) {
	for _, element := range subjects.Elements() {
		object, ok := element.(types.Object)
		if !ok || attribute.HasUnknown(object) {
			continue
		}
		var subject subjectModel
		if !attribute.DecodeObject(ctx, object, &subject, diags) {
			continue
		}
		if problems := validation.IsDNS1123Subdomain(subject.Name.ValueString()); subject.Kind.ValueString() == rbacv1.ServiceAccountKind && len(problems) > 0 {
			at := path.Root("subjects").AtSetValue(element).AtName("name")
			diags.AddAttributeError(at, "Invalid subject", fmt.Sprintf("Subject ServiceAccount %q: the name of a ServiceAccount is a DNS name: %s.",
				subject.Name.ValueString(), strings.Join(problems, "; ")))
		}
		inNamespace := !subject.Namespace.IsNull()
		if inNamespace != (subject.Kind.ValueString() == rbacv1.ServiceAccountKind) {
			at := path.Root("subjects").AtSetValue(element).AtName("namespace")
			diags.AddAttributeError(at, "Incomplete subject", fmt.Sprintf("Subject %s %q: set namespace for a ServiceAccount, and remove it for a User or Group.",
				subject.Kind.ValueString(), subject.Name.ValueString()))
		}
	}
}

// The API server accepts any text in rules. What matches no request is refused here, because it grants nothing.

func apiGroup() validator.String {
	return attribute.NewStringRule("API group", func(text string) []string {
		if text == "" || text == rbacv1.APIGroupAll {
			return nil
		}
		return validation.IsDNS1123Subdomain(text)
	})
}

func resourcePath() validator.String {
	return attribute.NewStringRule("resource", func(text string) []string {
		if text == "" || strings.ToLower(text) != text || strings.ContainsAny(text, " \t\n.") {
			return []string{"write resources in lower case and plural, for example jobs or pods/log, and their API group in api_groups"}
		}
		return nil
	})
}

func verb() validator.String {
	return attribute.NewStringRule("verb", func(text string) []string {
		if text == "" || strings.ToLower(text) != text || strings.ContainsAny(text, " \t\n,") {
			return []string{"write verbs in lower case, one per element, for example get"}
		}
		return nil
	})
}

// checkLimitRange compares the amounts of each resource as the API server does, which would otherwise refuse the LimitRange during the
// apply.
func checkLimitRange(amounts map[string]types.Map, diags *diag.Diagnostics) {
	for _, order := range [][2]string{
		{"min", "max"}, {"min", "default_request"}, {"min", "default"}, {"default_request", "default"}, {"default_request", "max"}, {"default", "max"},
	} {
		lower, upper := amounts[order[0]].Elements(), amounts[order[1]].Elements()
		for _, name := range slices.Sorted(maps.Keys(lower)) {
			least, okLeast := knownAmount(lower[name])
			most, okMost := knownAmount(upper[name])
			if okLeast && okMost && least.Cmp(most) > 0 {
				at := path.Root("limit_range").AtName(order[0]).AtMapKey(name)
				diags.AddAttributeError(at, "Contradictory limits", fmt.Sprintf("%s is %q, and must not exceed %s, which is %q.",
					at, least.String(), path.Root("limit_range").AtName(order[1]).AtMapKey(name), most.String()))
			}
		}
	}
}

// knownAmount returns a quantity that is known and valid.
func knownAmount(value any) (apiresource.Quantity, bool) {
	quantity, ok := value.(attribute.Quantity)
	if !ok || quantity.IsNull() || quantity.IsUnknown() {
		return apiresource.Quantity{}, false
	}
	amount, err := attribute.ParseQuantity(quantity.ValueString())
	return amount, err == nil
}
