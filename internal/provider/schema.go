package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// newCluster returns the attribute that all resources in a cluster share.
func newCluster() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: clusterDescription + " " + forcesReplacement,
		Optional:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

const clusterDescription = "Name of the cluster, a key of `clusters` in the provider block. Defaults to the cluster of `kubernetes`."

// forcesReplacement is the sentence of every attribute whose change replaces the resource.
const forcesReplacement = "Changing this forces a new resource."

// newNames returns the schema of a set of object names.
func newNames(description string) schema.Attribute {
	return schema.SetAttribute{
		MarkdownDescription: description,
		ElementType:         types.StringType,
		Optional:            true,
		Validators:          []validator.Set{setvalidator.ValueStringsAre(dnsSubdomain())},
	}
}
