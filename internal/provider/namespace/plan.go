package namespace

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// accessUnlessRules sets the default of access: `run` without rules, and null with rules.
type accessUnlessRules struct{}

func (accessUnlessRules) Description(context.Context) string {
	return "Defaults to run if rules is not set."
}
func (m accessUnlessRules) MarkdownDescription(ctx context.Context) string { return m.Description(ctx) }

func (accessUnlessRules) PlanModifyString(ctx context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	var rules types.Set
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("rules"), &rules)...)
	switch {
	case !req.ConfigValue.IsNull():
	case rules.IsUnknown():
		resp.PlanValue = types.StringUnknown()
	case rules.IsNull():
		resp.PlanValue = types.StringValue(string(namespace.AccessRun))
	default:
		resp.PlanValue = types.StringNull()
	}
}

// settleAccess sets the default of access if rules were not known in the plan.
func (m *namespaceModel) settleAccess() {
	if m.Access.IsUnknown() {
		m.Access = types.StringNull()
		if len(m.Rules) == 0 {
			m.Access = types.StringValue(string(namespace.AccessRun))
		}
	}
}

// ModifyPlan reports what is known before apply: an unknown cluster, a protected namespace that would be destroyed, a missing password, and the changes that
// adopting a namespace makes.
func (r *namespaceResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	attribute.CheckElements(req.Plan, &resp.Diagnostics)
	attribute.CheckElements(req.State, &resp.Diagnostics)
	r.clients.PlanCluster(ctx, req, resp)
	if resp.Diagnostics.HasError() || resp.Deferred != nil {
		return
	}
	// Only the attributes that are needed are decoded: decoding all would be a fifth of the cost of planning an unchanged namespace.
	var before namespaceModel
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("name"), &before.Name)...)
		resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("cluster"), &before.Cluster)...)
		resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("registry_credentials"), &before.RegistryCredentials)...)
		resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("deletion_protection"), &before.DeletionProtection)...)
	}
	if req.Plan.Raw.IsNull() {
		before.refuseProtected(&resp.Diagnostics)
		return
	}
	var name, cluster types.String
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, path.Root("name"), &name)...)
	resp.Diagnostics.Append(req.Plan.GetAttribute(ctx, path.Root("cluster"), &cluster)...)
	if !name.Equal(before.Name) || !cluster.Equal(before.Cluster) {
		before.refuseProtected(&resp.Diagnostics) // it will be replaced
	}
	var registries types.Map
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("registry_credentials"), &registries)...)
	warnUnsuitable(ctx, req, &resp.Diagnostics)
	if !attribute.HasUnknown(registries) {
		var wanted map[string]registryModel
		resp.Diagnostics.Append(registries.ElementsAs(ctx, &wanted, false)...)
		needPasswords(wanted, before.RegistryCredentials, &resp.Diagnostics)
	}
	var adopt types.Bool
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("adopt"), &adopt)...)
	if resp.Diagnostics.HasError() || !req.State.Raw.IsNull() || !adopt.ValueBool() || !req.Config.Raw.IsFullyKnown() {
		return
	}
	var plan namespaceModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); !resp.Diagnostics.HasError() {
		r.planAdoption(ctx, plan, &resp.Diagnostics)
	}
}

// refuseProtected adds an error if the namespace in the state is protected.
func (m namespaceModel) refuseProtected(diags *diag.Diagnostics) {
	if m.DeletionProtection.ValueBool() {
		diags.AddAttributeError(path.Root("deletion_protection"), "Namespace is protected from deletion", fmt.Sprintf(
			"The plan destroys namespace %q, which has deletion_protection set. To destroy it, first set deletion_protection = false and apply.", m.Name.ValueString()))
	}
}

// needPasswords adds an error for each new or changed registry credential without a password.
func needPasswords(wanted, before map[string]registryModel, diags *diag.Diagnostics) {
	for host, r := range wanted {
		old, there := before[host]
		if r.PasswordWO.IsNull() && (!there || !old.PasswordWOVersion.Equal(r.PasswordWOVersion)) {
			diags.AddAttributeError(path.Root("registry_credentials").AtMapKey(host).AtName("password_wo"), "Missing password", fmt.Sprintf(
				"The credentials for registry %q are new, or their password_wo_version has changed. Set password_wo, which is not stored in the state.", host))
		}
	}
}

// planAdoption warns about the changes that adopting the namespace makes. An unreachable entry of `clusters` is not an error yet.
func (r *namespaceResource) planAdoption(ctx context.Context, plan namespaceModel, diags *diag.Diagnostics) {
	client, err := r.clients.Kubernetes(plan.Cluster)
	if errors.Is(err, clients.ErrNotKnown) {
		return
	}
	spec, found := plan.toSpec(ctx)
	diags.Append(found...)
	var changes []string
	if err == nil {
		changes, err = namespace.Changes(ctx, client, spec)
	}
	if err == nil {
		warnForeignSecrets(ctx, client, spec, diags)
	}
	switch {
	case errors.Is(err, namespace.ErrGone):
		warnTerminating(diags, spec.Name, err)
	case kube.IsUnreachable(err) && !plan.Cluster.IsNull():
		diagnostic.AddUnreachable(diags, plan.Cluster, client.Host(), fmt.Sprintf("namespace %q", spec.Name), err)
	case err != nil:
		diagnostic.AddError(diags, "Failed to read Namespace", fmt.Sprintf("Reading namespace %q to adopt it", spec.Name), err)
	case len(changes) == 0:
		diags.AddWarning("Existing namespace will be adopted", fmt.Sprintf("Namespace %q exists and will be managed by this resource. No changes are needed.", spec.Name))
	default:
		diags.AddWarning("Existing namespace will be adopted", fmt.Sprintf(
			"Namespace %q exists and will be managed by this resource. These differences will be corrected:\n%s", spec.Name, diagnostic.BulletList(changes)))
	}
}

// shownSecrets is how many names of Secrets a warning contains.
const shownSecrets = 5

// warnForeignSecrets warns that the service account could read Secrets that exist in a namespace before it is adopted, or change them with `rules`.
func warnForeignSecrets(ctx context.Context, client *kube.Client, spec namespace.Spec, diags *diag.Diagnostics) {
	names, err := namespace.ForeignSecrets(ctx, client, spec)
	var found string
	switch {
	case kube.IsDenied(err):
		found = fmt.Sprintf("Whether namespace %q contains Secrets that this resource does not manage is not known, because the credentials of the provider do not permit to list them.", spec.Name)
	case err != nil:
		diagnostic.AddError(diags, "Failed to read Namespace", fmt.Sprintf("Reading the Secrets of namespace %q to adopt it", spec.Name), err)
		return
	case len(names) > shownSecrets:
		found = fmt.Sprintf("Namespace %q contains %d Secrets that this resource does not manage, among them %s.", spec.Name, len(names), strings.Join(names[:shownSecrets], ", "))
	case len(names) > 0:
		found = fmt.Sprintf("Namespace %q contains Secrets that this resource does not manage: %s.", spec.Name, strings.Join(names, ", "))
	default:
		return
	}
	diags.AddAttributeWarning(path.Root("adopt"), "Service account can read existing Secrets", fmt.Sprintf(
		"%s Service account %q may create Jobs, and pods can mount every Secret of their namespace, so it can read all of them. Kubernetes cannot limit that. "+
			"Use a dedicated namespace if that is not intended.", found, spec.ServiceAccount))
}
