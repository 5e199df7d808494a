package workflowrun

import (
	"net/netip"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// labelsAttribute returns labels that do not replace those by which a run, Kubernetes or a user finds Jobs and pods.
func labelsAttribute(description string) schema.Attribute {
	labels := attribute.NewLabels(description + runsNothing)
	labels.Validators = append(labels.Validators, mapvalidator.KeysAre(attribute.NewStringRule("label key", func(key string) []string {
		if workflow.IsReservedLabel(key) {
			return []string{"the provider or Kubernetes sets this label itself; remove it"}
		}
		return nil
	})))
	return labels
}

func annotationsAttribute(description string) schema.Attribute {
	return attribute.NewAnnotations(description + runsNothing)
}

// podSchedulingAttributes returns the attributes of placementModel but scheduler_name.
func podSchedulingAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"topology_spread_constraints": topologySpreadAttribute(),
		"termination_grace_period_seconds": schema.Int64Attribute{
			MarkdownDescription: "How long a pod that is stopped from outside (deleted, drained or preempted) has to end, in seconds. The command receives SIGTERM and is killed 5 seconds before the end of this time. " +
				"Raise it for steps that need longer to store the files of a command that has just ended. Defaults to `30`." + runsNothing,
			Optional:   true,
			Validators: []validator.Int64{int64validator.Between(1, maxCount)},
		},
		"host_aliases": schema.ListNestedAttribute{
			MarkdownDescription: "Entries of `/etc/hosts` in the pod." + runsStep,
			Optional:            true,
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"ip": schema.StringAttribute{MarkdownDescription: "IP address.", Required: true, Validators: []validator.String{ipAddress()}},
				"hostnames": schema.ListAttribute{
					MarkdownDescription: "Host names of this address.",
					ElementType:         types.StringType,
					Required:            true,
					Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(attribute.DNSSubdomain())},
				},
			}},
		},
		"dns_config":      dnsConfigAttribute(),
		"resource_claims": resourceClaimsAttribute(),
	}
}

func ipAddress() validator.String {
	return attribute.NewStringRule("IP address", func(text string) []string {
		if address, err := netip.ParseAddr(text); err != nil || address.Zone() != "" {
			return []string{"write it as 203.0.113.7 or 2001:db8::7"}
		}
		return nil
	})
}

func topologySpreadAttribute() schema.Attribute {
	return schema.ListNestedAttribute{
		MarkdownDescription: "How the pods of a step, for example the indexes of a fan-out step, are spread over the nodes (`topologySpreadConstraints`)." + runsNothing,
		Optional:            true,
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"topology_key": schema.StringAttribute{
				MarkdownDescription: "Label of the nodes whose values are the domains, for example `topology.kubernetes.io/zone`.",
				Required:            true,
				Validators:          []validator.String{attribute.NewStringRule("label key", validation.IsQualifiedName)},
			},
			"max_skew": schema.Int64Attribute{
				MarkdownDescription: "By how many pods two domains may differ. Defaults to `1`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, maxCount)},
			},
			"when_unsatisfiable": schema.StringAttribute{
				MarkdownDescription: "`DoNotSchedule` or `ScheduleAnyway`. Defaults to `DoNotSchedule`.",
				Optional:            true,
				Validators:          []validator.String{attribute.OneOf(string(corev1.DoNotSchedule), string(corev1.ScheduleAnyway))},
			},
			"min_domains": schema.Int64Attribute{
				MarkdownDescription: "Minimum number of domains, with `DoNotSchedule`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, maxCount)},
			},
			"match_labels": schema.MapAttribute{
				MarkdownDescription: "Labels of the pods that are counted. Defaults to the pods of the step.",
				ElementType:         types.StringType,
				Optional:            true,
				Validators:          []validator.Map{attribute.Labels()},
			},
		}},
	}
}

func dnsConfigAttribute() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "DNS settings of the pod, in addition to those of the cluster (`dnsConfig`)." + runsStep,
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"nameservers": schema.ListAttribute{
				MarkdownDescription: "IP addresses of DNS servers; at most 3 with those of the cluster.",
				ElementType:         types.StringType,
				Optional:            true,
				Validators:          []validator.List{listvalidator.SizeAtMost(3), listvalidator.ValueStringsAre(ipAddress())},
			},
			"searches": schema.ListAttribute{
				MarkdownDescription: "Domains to search for short host names.",
				ElementType:         types.StringType,
				Optional:            true,
				Validators:          []validator.List{listvalidator.SizeAtMost(32), listvalidator.ValueStringsAre(attribute.DNSSubdomain())},
			},
			"options": schema.MapAttribute{
				MarkdownDescription: "Options of the resolver, for example `{ ndots = \"2\" }`. Options without a value have an empty string.",
				ElementType:         types.StringType,
				Optional:            true,
			},
		},
	}
}

func resourceClaimsAttribute() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "Devices of dynamic resource allocation that the container uses, by a name in the pod (`resourceClaims`). Requires Kubernetes 1.34, or 1.31 with the feature gate `DynamicResourceAllocation`." + runsNothing,
		Optional:            true,
		Validators:          []validator.Map{mapvalidator.KeysAre(attribute.DNSLabel())},
		NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
			"resource_claim_name": schema.StringAttribute{
				MarkdownDescription: "Name of a ResourceClaim in the namespace.",
				Optional:            true,
				Validators:          []validator.String{attribute.DNSSubdomain(), stringvalidator.ExactlyOneOf(path.MatchRelative().AtParent().AtName("resource_claim_template_name"))},
			},
			"resource_claim_template_name": schema.StringAttribute{
				MarkdownDescription: "Name of a ResourceClaimTemplate in the namespace. Each pod gets its own claim.",
				Optional:            true,
				Validators:          []validator.String{attribute.DNSSubdomain()},
			},
			"request": schema.StringAttribute{
				MarkdownDescription: "Name of one request of the claim. Defaults to all of its requests.",
				Optional:            true,
				Validators:          []validator.String{attribute.DNSLabel()},
			},
		}},
	}
}
