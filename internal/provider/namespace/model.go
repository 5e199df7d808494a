package namespace

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// namespaceModel holds the attributes of the resource. Its nested values are plain Go values, so that it can only decode known values; ModifyPlan checks that first.
type namespaceModel struct {
	Name                types.String                  `tfsdk:"name"`
	Cluster             types.String                  `tfsdk:"cluster"`
	Labels              types.Map                     `tfsdk:"labels"`
	Annotations         types.Map                     `tfsdk:"annotations"`
	CommonLabels        types.Map                     `tfsdk:"common_labels"`
	CommonAnnotations   types.Map                     `tfsdk:"common_annotations"`
	PodSecurity         *podSecurityModel             `tfsdk:"pod_security"`
	ServiceAccount      *serviceAccountModel          `tfsdk:"service_account"`
	Access              types.String                  `tfsdk:"access"`
	Rules               []ruleModel                   `tfsdk:"rules"`
	Subjects            []subjectModel                `tfsdk:"subjects"`
	ResourceQuota       map[string]attribute.Quantity `tfsdk:"resource_quota"`
	LimitRange          *limitRangeModel              `tfsdk:"limit_range"`
	NetworkPolicy       *networkPolicyModel           `tfsdk:"network_policy"`
	RegistryCredentials map[string]registryModel      `tfsdk:"registry_credentials"`
	Adopt               types.Bool                    `tfsdk:"adopt"`
	DeletionProtection  types.Bool                    `tfsdk:"deletion_protection"`
	DeletionPolicy      types.String                  `tfsdk:"deletion_policy"`
	UID                 types.String                  `tfsdk:"uid"`
	Drift               types.List                    `tfsdk:"drift"`
	Timeouts            timeouts.Value                `tfsdk:"timeouts"`
}

func (m *namespaceModel) TimeoutLimits() (timeouts.Value, time.Duration) {
	return m.Timeouts, namespaceTimeout
}

func (m namespaceModel) identity() attribute.Identity {
	return attribute.Identity{Name: m.Name, Cluster: m.Cluster}
}

type podSecurityModel struct {
	Enforce types.String `tfsdk:"enforce"`
	Audit   types.String `tfsdk:"audit"`
	Warn    types.String `tfsdk:"warn"`
	Version types.String `tfsdk:"version"`
}

type serviceAccountModel struct {
	Name              types.String `tfsdk:"name"`
	Labels            types.Map    `tfsdk:"labels"`
	Annotations       types.Map    `tfsdk:"annotations"`
	ImagePullSecrets  []string     `tfsdk:"image_pull_secrets"`
	CreateTokenSecret types.Bool   `tfsdk:"create_token_secret"`
}

type ruleModel struct {
	APIGroups     []string `tfsdk:"api_groups"`
	Resources     []string `tfsdk:"resources"`
	Verbs         []string `tfsdk:"verbs"`
	ResourceNames []string `tfsdk:"resource_names"`
}

type subjectModel struct {
	Kind      types.String `tfsdk:"kind"`
	Name      types.String `tfsdk:"name"`
	Namespace types.String `tfsdk:"namespace"`
}

type limitRangeModel struct {
	Default        map[string]attribute.Quantity `tfsdk:"default"`
	DefaultRequest map[string]attribute.Quantity `tfsdk:"default_request"`
	Max            map[string]attribute.Quantity `tfsdk:"max"`
	Min            map[string]attribute.Quantity `tfsdk:"min"`
}

type networkPolicyModel struct {
	DNS     types.Bool              `tfsdk:"dns"`
	Egress  map[string]trafficModel `tfsdk:"egress"`
	Ingress map[string]trafficModel `tfsdk:"ingress"`
}

type trafficModel struct {
	CIDRs     []string `tfsdk:"cidrs"`
	Ports     []int32  `tfsdk:"ports"`
	Protocols []string `tfsdk:"protocols"`
}

type registryModel struct {
	Username          types.String `tfsdk:"username"`
	PasswordWO        types.String `tfsdk:"password_wo"`
	PasswordWOVersion types.Int64  `tfsdk:"password_wo_version"`
}

// subjectKinds lists the kinds of RBAC subjects.
var subjectKinds = []string{rbacv1.UserKind, rbacv1.GroupKind, rbacv1.ServiceAccountKind}

func defaultServiceAccount(object types.ObjectType) types.Object {
	null := types.MapNull(types.StringType)
	return types.ObjectValueMust(object.AttrTypes, map[string]attr.Value{
		"name": types.StringValue(defaultAccount), "labels": null, "annotations": null,
		"image_pull_secrets": types.SetNull(types.StringType), "create_token_secret": types.BoolValue(false),
	})
}

// toSpec returns the wanted namespace. Only the model of the configuration contains passwords.
func (m namespaceModel) toSpec(ctx context.Context) (namespace.Spec, diag.Diagnostics) {
	var diags diag.Diagnostics
	spec := namespace.Spec{Name: m.Name.ValueString(), UID: m.UID.ValueString(), Access: namespace.Access(m.Access.ValueString()), Settings: m.settings()}
	diags.Append(m.Labels.ElementsAs(ctx, &spec.Labels, false)...)
	diags.Append(m.Annotations.ElementsAs(ctx, &spec.Annotations, false)...)
	diags.Append(m.CommonLabels.ElementsAs(ctx, &spec.CommonLabels, false)...)
	diags.Append(m.CommonAnnotations.ElementsAs(ctx, &spec.CommonAnnotations, false)...)
	if p := m.PodSecurity; p != nil {
		spec.PodSecurity = namespace.PodSecurity{
			Enforce: p.Enforce.ValueString(), Audit: p.Audit.ValueString(), Warn: p.Warn.ValueString(), Version: p.Version.ValueString(),
		}
	}
	if a := m.ServiceAccount; a != nil {
		spec.ServiceAccount, spec.PullSecrets, spec.LongLivedToken = a.Name.ValueString(), a.ImagePullSecrets, a.CreateTokenSecret.ValueBool()
		diags.Append(a.Labels.ElementsAs(ctx, &spec.AccountLabels, false)...)
		diags.Append(a.Annotations.ElementsAs(ctx, &spec.AccountAnnotations, false)...)
	}
	for _, r := range m.Rules {
		spec.Rules = append(spec.Rules, rbacv1.PolicyRule{APIGroups: r.APIGroups, Resources: r.Resources, Verbs: r.Verbs, ResourceNames: r.ResourceNames})
	}
	for _, s := range m.Subjects {
		subject := rbacv1.Subject{Kind: s.Kind.ValueString(), Name: s.Name.ValueString(), Namespace: s.Namespace.ValueString()}
		if subject.Kind != rbacv1.ServiceAccountKind {
			subject.APIGroup = rbacv1.GroupName
		}
		spec.Subjects = append(spec.Subjects, subject)
	}
	spec.ResourceQuota = attribute.ToResourceList(m.ResourceQuota, &diags)
	if l := m.LimitRange; l != nil {
		spec.LimitRange = namespace.LimitRange{
			Default: attribute.ToResourceList(l.Default, &diags), DefaultRequest: attribute.ToResourceList(l.DefaultRequest, &diags),
			Max: attribute.ToResourceList(l.Max, &diags), Min: attribute.ToResourceList(l.Min, &diags),
		}
	}
	if n := m.NetworkPolicy; n != nil {
		spec.Network = &namespace.Network{DNS: n.DNS.ValueBool(), Egress: traffic(n.Egress), Ingress: traffic(n.Ingress)}
	}
	for host, r := range m.RegistryCredentials {
		if spec.RegistryCredentials == nil {
			spec.RegistryCredentials = map[string]namespace.Registry{}
		}
		spec.RegistryCredentials[host] = namespace.Registry{
			Username: r.Username.ValueString(), Password: r.PasswordWO.ValueString(), Version: r.PasswordWOVersion.ValueInt64(),
		}
	}
	return spec, diags
}

func traffic(models map[string]trafficModel) map[string]namespace.Traffic {
	all := map[string]namespace.Traffic{}
	for name, t := range models {
		all[name] = namespace.Traffic{CIDRs: t.CIDRs, Ports: t.Ports, Protocols: t.Protocols}
	}
	return all
}

// found sets the attributes of an imported namespace from its objects.
func (m *namespaceModel) found(ctx context.Context, spec namespace.Spec) diag.Diagnostics {
	var diags diag.Diagnostics
	m.Labels, m.Annotations = ownMap(ctx, spec.Labels, &diags), ownMap(ctx, spec.Annotations, &diags)
	m.CommonLabels, m.CommonAnnotations = ownMap(ctx, spec.CommonLabels, &diags), ownMap(ctx, spec.CommonAnnotations, &diags)
	m.takeSettings(ctx, spec.Settings, &diags)
	if p := spec.PodSecurity; p != (namespace.PodSecurity{}) {
		m.PodSecurity = &podSecurityModel{attribute.StringOrNull(p.Enforce), attribute.StringOrNull(p.Audit), attribute.StringOrNull(p.Warn), attribute.StringOrNull(p.Version)}
	}
	m.ServiceAccount = &serviceAccountModel{
		Name: types.StringValue(spec.ServiceAccount), Labels: ownMap(ctx, spec.AccountLabels, &diags), Annotations: ownMap(ctx, spec.AccountAnnotations, &diags),
		ImagePullSecrets: spec.PullSecrets, CreateTokenSecret: types.BoolValue(spec.LongLivedToken),
	}
	m.Access = attribute.StringOrNull(string(spec.Access))
	for _, r := range spec.Rules {
		m.Rules = append(m.Rules, ruleModel{APIGroups: r.APIGroups, Resources: r.Resources, Verbs: r.Verbs, ResourceNames: r.ResourceNames})
	}
	for _, s := range spec.Subjects {
		m.Subjects = append(m.Subjects, subjectModel{types.StringValue(s.Kind), types.StringValue(s.Name), attribute.StringOrNull(s.Namespace)})
	}
	m.ResourceQuota = attribute.FromResourceList(spec.ResourceQuota)
	limits := limitRangeModel{
		attribute.FromResourceList(spec.LimitRange.Default), attribute.FromResourceList(spec.LimitRange.DefaultRequest), attribute.FromResourceList(spec.LimitRange.Max), attribute.FromResourceList(spec.LimitRange.Min),
	}
	if slices.ContainsFunc([]map[string]attribute.Quantity{limits.Default, limits.DefaultRequest, limits.Max, limits.Min}, func(q map[string]attribute.Quantity) bool { return len(q) > 0 }) {
		m.LimitRange = &limits
	}
	if n := spec.Network; n != nil {
		m.NetworkPolicy = &networkPolicyModel{DNS: types.BoolValue(n.DNS), Egress: trafficOf(n.Egress), Ingress: trafficOf(n.Ingress)}
	}
	for host, r := range spec.RegistryCredentials {
		if m.RegistryCredentials == nil {
			m.RegistryCredentials = map[string]registryModel{}
		}
		version := types.Int64Null()
		if r.Version != 0 {
			version = types.Int64Value(r.Version)
		}
		m.RegistryCredentials[host] = registryModel{Username: types.StringValue(r.Username), PasswordWOVersion: version}
	}
	return diags
}

func trafficOf(all map[string]namespace.Traffic) map[string]trafficModel {
	if len(all) == 0 {
		return nil
	}
	models := map[string]trafficModel{}
	for name, t := range all {
		models[name] = trafficModel{CIDRs: t.CIDRs, Ports: t.Ports, Protocols: t.Protocols}
	}
	return models
}

// refresh sets the attributes from the cluster, without labels and annotations that other tools added.
func (m *namespaceModel) refresh(ctx context.Context, state namespace.State) diag.Diagnostics {
	var diags diag.Diagnostics
	m.UID = types.StringValue(state.UID)
	m.Labels = keepOurs(ctx, m.Labels, state.Labels, &diags)
	m.Annotations = keepOurs(ctx, m.Annotations, state.Annotations, &diags)
	m.Drift = attribute.DriftValue(state.Drift)
	return diags
}

// recordApplied sets what an apply determines. All other attributes stay as planned: what an admission webhook has changed is drift that
// the next refresh finds.
func (m *namespaceModel) recordApplied(state namespace.State) {
	m.UID, m.Drift = types.StringValue(state.UID), attribute.EmptyDrift()
}

// isChangedByRefresh reports whether refresh has changed an attribute. Writing an unchanged state costs as much as reading the cluster.
func (m namespaceModel) isChangedByRefresh(before namespaceModel) bool {
	return !m.UID.Equal(before.UID) || !m.Labels.Equal(before.Labels) || !m.Annotations.Equal(before.Annotations) || !m.Drift.Equal(before.Drift)
}

// keepOurs returns the live values of the keys that the resource has set.
func keepOurs(ctx context.Context, ours types.Map, live map[string]string, diags *diag.Diagnostics) types.Map {
	if ours.IsNull() {
		return ours
	}
	kept := map[string]string{}
	for key := range ours.Elements() {
		if value, ok := live[key]; ok {
			kept[key] = value
		}
	}
	value, found := types.MapValueFrom(ctx, types.StringType, kept)
	diags.Append(found...)
	return value
}

// ownMap converts a map of strings; an empty map becomes null.
func ownMap(ctx context.Context, from map[string]string, diags *diag.Diagnostics) types.Map {
	if len(from) == 0 {
		return types.MapNull(types.StringType)
	}
	value, found := types.MapValueFrom(ctx, types.StringType, from)
	diags.Append(found...)
	return value
}
