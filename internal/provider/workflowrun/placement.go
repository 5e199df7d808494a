package workflowrun

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// tolerationRule validates what the attributes of a toleration have to do with each other, by the rules of the API server.
type tolerationRule struct{}

func (tolerationRule) Description(context.Context) string {
	return "must be a toleration that matches taints"
}
func (v tolerationRule) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (tolerationRule) ValidateObject(_ context.Context, req validator.ObjectRequest, resp *validator.ObjectResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	attributes := req.ConfigValue.Attributes()
	text := func(name string) (value string, isKnown bool) {
		found, ok := attributes[name].(types.String)
		return found.ValueString(), ok && !found.IsUnknown()
	}
	refuse := func(name, problem string) {
		at := req.Path.AtName(name)
		resp.Diagnostics.AddAttributeError(at, "Invalid toleration", fmt.Sprintf("%s: %s.", at, problem))
	}
	key, isKeyKnown := text("key")
	operator, isOperatorKnown := text("operator")
	value, _ := text("value")
	effect, isEffectKnown := text("effect")
	if isKeyKnown && key == "" && isOperatorKnown && operator != string(corev1.TolerationOpExists) {
		refuse("operator", `without a key, which tolerates every taint, it must be "Exists"`)
	}
	if operator == string(corev1.TolerationOpExists) && value != "" {
		refuse("value", `with the operator "Exists" every value matches; remove it, or set the operator to "Equal"`)
	}
	if isSet(attributes["toleration_seconds"]) && isEffectKnown && effect != string(corev1.TaintEffectNoExecute) {
		refuse("toleration_seconds", `only taints with the effect "NoExecute" end a running pod; set effect = "NoExecute"`)
	}
}

// isSet reports whether a value is known and not null.
func isSet(value attr.Value) bool { return value != nil && !value.IsNull() && !value.IsUnknown() }

// affinityText validates an affinity as Kubernetes defines it.
type affinityText struct{}

func (affinityText) Description(context.Context) string {
	return "the affinity of a pod, as JSON or YAML"
}
func (v affinityText) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (affinityText) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if _, err := parseAffinity(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid affinity", fmt.Sprintf("Parsing %s as spec.affinity of a pod: %s.", req.Path, err))
	}
}

// parseAffinity rejects unknown fields, which the API server would drop silently, and values that it would reject.
func parseAffinity(text string) (*corev1.Affinity, error) {
	affinity := &corev1.Affinity{}
	if err := jobspec.DecodeManifest(text, affinity); err != nil {
		return nil, err
	}
	if *affinity == (corev1.Affinity{}) {
		return nil, fmt.Errorf("it has none of nodeAffinity, podAffinity and podAntiAffinity")
	}
	return affinity, checkAffinity(affinity).ToAggregate()
}

// checkAffinity implements the rules of the API server (kubernetes/pkg/apis/core/validation), as far as they do not depend on its version.
func checkAffinity(affinity *corev1.Affinity) (problems field.ErrorList) {
	if node := affinity.NodeAffinity; node != nil {
		at := field.NewPath("nodeAffinity")
		if required := node.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
			at := at.Child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
			if len(required.NodeSelectorTerms) == 0 {
				problems = append(problems, field.Required(at, "must have at least one node selector term"))
			}
			for i, term := range required.NodeSelectorTerms {
				problems = append(problems, checkNodeSelectorTerm(term, at.Index(i))...)
			}
		}
		for i, term := range node.PreferredDuringSchedulingIgnoredDuringExecution {
			at := at.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i)
			problems = append(problems, checkWeight(term.Weight, at)...)
			problems = append(problems, checkNodeSelectorTerm(term.Preference, at.Child("preference"))...)
		}
	}
	if pods := affinity.PodAffinity; pods != nil {
		problems = append(problems, checkPodTerms(pods.RequiredDuringSchedulingIgnoredDuringExecution, pods.PreferredDuringSchedulingIgnoredDuringExecution, field.NewPath("podAffinity"))...)
	}
	if pods := affinity.PodAntiAffinity; pods != nil {
		problems = append(problems, checkPodTerms(pods.RequiredDuringSchedulingIgnoredDuringExecution, pods.PreferredDuringSchedulingIgnoredDuringExecution, field.NewPath("podAntiAffinity"))...)
	}
	return problems
}

func checkWeight(weight int32, at *field.Path) field.ErrorList {
	if weight < 1 || weight > 100 {
		return field.ErrorList{field.Invalid(at.Child("weight"), weight, "must be in the range 1-100")}
	}
	return nil
}

func checkNodeSelectorTerm(term corev1.NodeSelectorTerm, at *field.Path) (problems field.ErrorList) {
	for i, requirement := range term.MatchExpressions {
		at := at.Child("matchExpressions").Index(i)
		for _, problem := range validation.IsQualifiedName(requirement.Key) {
			problems = append(problems, field.Invalid(at.Child("key"), requirement.Key, problem))
		}
		problems = append(problems, checkNodeOperator(requirement, at)...)
	}
	for i, requirement := range term.MatchFields {
		at := at.Child("matchFields").Index(i)
		isOne := requirement.Operator == corev1.NodeSelectorOpIn || requirement.Operator == corev1.NodeSelectorOpNotIn
		switch {
		case requirement.Key != metav1.ObjectNameField:
			problems = append(problems, field.NotSupported(at.Child("key"), requirement.Key, []string{metav1.ObjectNameField}))
		case !isOne:
			problems = append(problems, field.NotSupported(at.Child("operator"), requirement.Operator, []corev1.NodeSelectorOperator{corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn}))
		case len(requirement.Values) != 1:
			problems = append(problems, field.Required(at.Child("values"), "must have one element"))
		default:
			for _, problem := range validation.IsDNS1123Subdomain(requirement.Values[0]) {
				problems = append(problems, field.Invalid(at.Child("values").Index(0), requirement.Values[0], problem))
			}
		}
	}
	return problems
}

func checkNodeOperator(requirement corev1.NodeSelectorRequirement, at *field.Path) field.ErrorList {
	values := at.Child("values")
	switch requirement.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(requirement.Values) == 0 {
			return field.ErrorList{field.Required(values, "must be specified when the operator is In or NotIn")}
		}
		var problems field.ErrorList
		for i, value := range requirement.Values {
			for _, problem := range validation.IsValidLabelValue(value) {
				problems = append(problems, field.Invalid(values.Index(i), value, problem))
			}
		}
		return problems
	case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
		if len(requirement.Values) > 0 {
			return field.ErrorList{field.Forbidden(values, "may not be specified when the operator is Exists or DoesNotExist")}
		}
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		if len(requirement.Values) != 1 {
			return field.ErrorList{field.Required(values, "must have one integer when the operator is Gt or Lt")}
		}
	default:
		return field.ErrorList{field.NotSupported(at.Child("operator"), requirement.Operator, []corev1.NodeSelectorOperator{
			corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist, corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt,
		})}
	}
	return nil
}

func checkPodTerms(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm, at *field.Path) (problems field.ErrorList) {
	for i, term := range required {
		problems = append(problems, checkPodTerm(term, at.Child("requiredDuringSchedulingIgnoredDuringExecution").Index(i))...)
	}
	for i, term := range preferred {
		at := at.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i)
		problems = append(problems, checkWeight(term.Weight, at)...)
		problems = append(problems, checkPodTerm(term.PodAffinityTerm, at.Child("podAffinityTerm"))...)
	}
	return problems
}

func checkPodTerm(term corev1.PodAffinityTerm, at *field.Path) (problems field.ErrorList) {
	for _, selector := range []struct {
		name string
		of   *metav1.LabelSelector
	}{{"labelSelector", term.LabelSelector}, {"namespaceSelector", term.NamespaceSelector}} {
		if selector.of != nil {
			problems = append(problems, metav1validation.ValidateLabelSelector(selector.of, metav1validation.LabelSelectorValidationOptions{}, at.Child(selector.name))...)
		}
	}
	for i, namespace := range term.Namespaces {
		for _, problem := range validation.IsDNS1123Label(namespace) {
			problems = append(problems, field.Invalid(at.Child("namespaces").Index(i), namespace, problem))
		}
	}
	if strings.TrimSpace(term.TopologyKey) == "" {
		return append(problems, field.Required(at.Child("topologyKey"), "can not be empty"))
	}
	for _, problem := range validation.IsQualifiedName(term.TopologyKey) {
		problems = append(problems, field.Invalid(at.Child("topologyKey"), term.TopologyKey, problem))
	}
	return problems
}
