package workflowrun

import (
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// metadataModel has what users add to the labels and annotations of Jobs and pods. A plan can contain unknown ones: they do not identify the run.
type metadataModel struct {
	Labels      types.Map `tfsdk:"labels"`
	Annotations types.Map `tfsdk:"annotations"`
}

// toMetadata converts the known values.
func (m metadataModel) toMetadata(defaults metadataModel) workflow.Metadata {
	return workflow.Metadata{Labels: attribute.MergeTexts(m.Labels, defaults.Labels), Annotations: attribute.MergeTexts(m.Annotations, defaults.Annotations)}
}

// placementModel has the attributes of a pod that concern its scheduler, its network and its end.
type placementModel struct {
	SchedulerName                 types.String                  `tfsdk:"scheduler_name"`
	TopologySpreadConstraints     []topologySpreadModel         `tfsdk:"topology_spread_constraints"`
	TerminationGracePeriodSeconds types.Int64                   `tfsdk:"termination_grace_period_seconds"`
	HostAliases                   []hostAliasModel              `tfsdk:"host_aliases"`
	DNSConfig                     *dnsConfigModel               `tfsdk:"dns_config"`
	ResourceClaims                map[string]resourceClaimModel `tfsdk:"resource_claims"`
}

type topologySpreadModel struct {
	MaxSkew           types.Int64       `tfsdk:"max_skew"`
	TopologyKey       types.String      `tfsdk:"topology_key"`
	WhenUnsatisfiable types.String      `tfsdk:"when_unsatisfiable"`
	MinDomains        types.Int64       `tfsdk:"min_domains"`
	MatchLabels       map[string]string `tfsdk:"match_labels"`
}

type hostAliasModel struct {
	IP        types.String `tfsdk:"ip"`
	Hostnames []string     `tfsdk:"hostnames"`
}

type dnsConfigModel struct {
	Nameservers []string          `tfsdk:"nameservers"`
	Searches    []string          `tfsdk:"searches"`
	Options     map[string]string `tfsdk:"options"`
}

type resourceClaimModel struct {
	Claim         types.String `tfsdk:"resource_claim_name"`
	ClaimTemplate types.String `tfsdk:"resource_claim_template_name"`
	Request       types.String `tfsdk:"request"`
}

// withDefaults returns the step's values merged with the defaults; the step's take precedence.
func (m placementModel) withDefaults(defaults placementModel) placementModel {
	m.SchedulerName = over(m.SchedulerName, defaults.SchedulerName)
	m.TerminationGracePeriodSeconds = over(m.TerminationGracePeriodSeconds, defaults.TerminationGracePeriodSeconds)
	if m.TopologySpreadConstraints == nil {
		m.TopologySpreadConstraints = defaults.TopologySpreadConstraints
	}
	if m.HostAliases == nil {
		m.HostAliases = defaults.HostAliases
	}
	if m.DNSConfig == nil {
		m.DNSConfig = defaults.DNSConfig
	}
	m.ResourceClaims = entriesOver(m.ResourceClaims, defaults.ResourceClaims)
	return m
}

// applyTo sets the values of the model in a step.
func (m placementModel) applyTo(step *workflow.Step) {
	step.Placement.SchedulerName = m.SchedulerName.ValueString()
	for _, spread := range m.TopologySpreadConstraints {
		step.Placement.TopologySpread = append(step.Placement.TopologySpread, spread.toConstraint())
	}
	step.TerminationGracePeriod = time.Duration(m.TerminationGracePeriodSeconds.ValueInt64()) * time.Second
	for _, alias := range m.HostAliases {
		step.HostAliases = append(step.HostAliases, corev1.HostAlias{IP: alias.IP.ValueString(), Hostnames: alias.Hostnames})
	}
	if m.DNSConfig != nil {
		step.DNSConfig = m.DNSConfig.toDNSConfig()
	}
	for _, name := range slices.Sorted(maps.Keys(m.ResourceClaims)) {
		claim := m.ResourceClaims[name]
		step.ResourceClaims = append(step.ResourceClaims, workflow.ResourceClaim{Request: claim.Request.ValueString(), PodResourceClaim: corev1.PodResourceClaim{
			Name: name, ResourceClaimName: claim.Claim.ValueStringPointer(), ResourceClaimTemplateName: claim.ClaimTemplate.ValueStringPointer(),
		}})
	}
}

func (m topologySpreadModel) toConstraint() corev1.TopologySpreadConstraint {
	constraint := corev1.TopologySpreadConstraint{
		MaxSkew: 1, TopologyKey: m.TopologyKey.ValueString(), WhenUnsatisfiable: corev1.DoNotSchedule,
	}
	if !m.MaxSkew.IsNull() {
		constraint.MaxSkew = int32(m.MaxSkew.ValueInt64()) //nolint:gosec // at most maxCount
	}
	if !m.WhenUnsatisfiable.IsNull() {
		constraint.WhenUnsatisfiable = corev1.UnsatisfiableConstraintAction(m.WhenUnsatisfiable.ValueString())
	}
	if !m.MinDomains.IsNull() {
		constraint.MinDomains = new(int32(m.MinDomains.ValueInt64())) //nolint:gosec // at most maxCount
	}
	if m.MatchLabels != nil {
		constraint.LabelSelector = &metav1.LabelSelector{MatchLabels: m.MatchLabels}
	}
	return constraint
}

func (m dnsConfigModel) toDNSConfig() *corev1.PodDNSConfig {
	config := &corev1.PodDNSConfig{Nameservers: m.Nameservers, Searches: m.Searches}
	for _, name := range slices.Sorted(maps.Keys(m.Options)) {
		option := corev1.PodDNSConfigOption{Name: name}
		if value := m.Options[name]; value != "" {
			option.Value = &value
		}
		config.Options = append(config.Options, option)
	}
	return config
}
