// Package attribute holds what the attributes of several resources have in common: schemas, types, validators, conversions and timeouts. It knows no resource.
package attribute

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// NewCluster returns the attribute that all resources in a cluster share.
func NewCluster() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: ClusterDescription + " " + ForcesReplacement,
		Optional:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

// ClusterDescription describes the attribute that selects a cluster.
const ClusterDescription = "Name of the cluster, a key of `clusters` in the provider block. Defaults to the cluster of `kubernetes`."

// ForcesReplacement is the sentence of every attribute whose change replaces the resource.
const ForcesReplacement = "Changing this forces a new resource."

// NewNames returns the schema of a set of object names.
func NewNames(description string) schema.Attribute {
	return schema.SetAttribute{
		MarkdownDescription: description,
		ElementType:         types.StringType,
		Optional:            true,
		Validators:          []validator.Set{setvalidator.ValueStringsAre(DNSSubdomain())},
	}
}
