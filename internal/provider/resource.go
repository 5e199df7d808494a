package provider

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
)

// resourceBase is what all resources have: a name, and the provider's connections.
type resourceBase struct {
	name string
	*connections
}

func (r *resourceBase) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + r.name
}

func (r *resourceBase) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	r.connections = connectionsOf(req.ProviderData, &resp.Diagnostics)
}

// driftAttribute tells in every resource alike what Read found not to be as it should: a sentence each, and none when all is well. Its planned value is
// always empty, so that whatever stands in it makes a plan, and the plan shows it.
func driftAttribute(modifiers ...planmodifier.List) schema.ListAttribute {
	return schema.ListAttribute{
		MarkdownDescription: "What was found not to be as it should when Terraform last looked, a sentence each. The next apply puts it right.",
		ElementType:         types.StringType,
		Computed:            true,
		Default:             listdefault.StaticValue(noDrift()),
		PlanModifiers:       modifiers,
	}
}

func noDrift() types.List { return types.ListValueMust(types.StringType, []attr.Value{}) }

// drift is the value of the drift attribute.
func drift(sentences []string) types.List {
	values := make([]attr.Value, len(sentences))
	for i, sentence := range sentences {
		values[i] = types.StringValue(sentence)
	}
	return types.ListValueMust(types.StringType, values)
}

// report adds an error that says what was tried, what came back, and what to do now.
func report(diags *diag.Diagnostics, summary, tried string, err error) {
	diags.AddError(summary, explain(tried, err))
}

// explain is the detail of a diagnostic.
func explain(tried string, err error) string {
	text := tried + ": " + strings.TrimSuffix(err.Error(), ".") + "." // some servers end their sentences
	if advice := advice(err); advice != "" {
		text += "\n\n" + advice
	}
	return text
}

// advice says what to do about an error, where that is known.
func advice(err error) string {
	var password *namespace.MissingPasswordError
	var connection *connectionError
	switch {
	case errors.As(err, &connection):
		return "Correct what says how to reach the cluster: kubernetes (or the entry of clusters) in the provider block, or the variable that stands in for it, such as KUBE_CONFIG_PATH."
	case errors.As(err, &password):
		return "Set password_wo of that registry: its Secret is gone or was edited, or the version has changed, and the provider keeps no password."
	case errors.Is(err, errNotKnown):
		return "Apply first what the provider block depends on, for example with -target, then plan again."
	case errors.Is(err, infra.ErrUnparsable):
		return "Nothing was written. Correct the file, then run Terraform again."
	case errors.Is(err, infra.ErrNoDirectory):
		return "Create the directory, or correct control_plane.directory in the provider block (or BRANE_CONTROL_PLANE_DIRECTORY)."
	case errors.Is(err, infra.ErrNoLocation):
		return "Register it with a brane_infrastructure, and let this resource refer to that one's name, so that it is made first."
	case errors.Is(err, credentials.ErrNoAccount):
		return "Make it first, with a brane_namespace; where that is part of the same apply, refer to a value of it that is known only then, such as its uid."
	case errors.Is(err, credentials.ErrUnauthorized), apierrors.IsUnauthorized(err):
		return "The API server does not accept the credential: it may be expired or revoked. For the provider's own account look at the kubernetes block of the provider; " +
			"for a registered credential run an apply that renews the brane_infrastructure."
	case errors.Is(err, credentials.ErrForbidden), apierrors.IsForbidden(err):
		return "The account lacks a right that this needs; the message names it. Grant it by a Role or ClusterRole (see the provider's documentation), then run Terraform again."
	case errors.Is(err, files.ErrPassword):
		return "Correct user and password in redis.url of the provider block, or in BRANE_REDIS_URL."
	case errors.Is(err, files.ErrEvicts):
		return "Set `maxmemory-policy noeviction` on this Redis, or use another one: a step's files could vanish before the next step has read them."
	case errors.Is(err, files.ErrFull):
		return "Give this Redis more memory (maxmemory), or destroy runs and sets of files that nobody needs: theirs becomes free."
	case errors.Is(err, files.ErrUnreachable):
		return "See that Redis runs and that redis.url in the provider block (or BRANE_REDIS_URL) names it as this machine sees it."
	case errors.Is(err, credentials.ErrUnreachable):
		return "See that the cluster runs and that its address is right and reachable from this machine. Where only the Brane instance reaches it, set verify_credentials = false."
	case kube.IsUnreachable(err):
		return "See that the cluster runs and that its address is right and reachable from this machine."
	default:
		return ""
	}
}

// bullets writes sentences as a list.
func bullets(sentences []string) string {
	return "- " + strings.Join(sentences, "\n- ")
}
