package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
)

// accessUnlessRules makes `run` the default of access where there are no rules, and nothing where there are.
type accessUnlessRules struct{}

func (accessUnlessRules) Description(context.Context) string {
	return "The default is run, unless there are rules."
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

// settleAccess is accessUnlessRules for when rules were not known in the plan.
func (m *namespaceModel) settleAccess() {
	if m.Access.IsUnknown() {
		m.Access = types.StringNull()
		if len(m.Rules) == 0 {
			m.Access = types.StringValue(string(namespace.AccessRun))
		}
	}
}

func (r *namespaceResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var subjects types.Set
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("subjects"), &subjects)...)
	for _, element := range subjects.Elements() {
		object, ok := element.(types.Object)
		if !ok || unknown(object) {
			continue
		}
		var subject subjectModel
		if !decode(ctx, object, &subject, &resp.Diagnostics) {
			continue
		}
		inNamespace := !subject.Namespace.IsNull()
		if inNamespace != (subject.Kind.ValueString() == rbacv1.ServiceAccountKind) {
			resp.Diagnostics.AddAttributeError(path.Root("subjects").AtSetValue(element).AtName("namespace"), "Subject is not complete",
				fmt.Sprintf("%s %q: a ServiceAccount needs a namespace, a User or Group has none.", subject.Kind.ValueString(), subject.Name.ValueString()))
		}
	}
}

// ModifyPlan finds what can be known before apply: a cluster that is none, a protected namespace about to be destroyed, a new password that was
// forgotten, and what taking over a namespace will change.
func (r *namespaceResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	r.planCluster(ctx, req, resp)
	if resp.Diagnostics.HasError() || resp.Deferred != nil {
		return
	}
	// Only what is asked about is decoded: all of it would be a fifth of what the plan of an unchanged namespace costs.
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
	if !unknown(registries) {
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

// refuseProtected is an error where the namespace that is in the state is protected.
func (m namespaceModel) refuseProtected(diags *diag.Diagnostics) {
	if m.DeletionProtection.ValueBool() {
		diags.AddAttributeError(path.Root("deletion_protection"), "Namespace is protected", fmt.Sprintf(
			"Namespace %q would be destroyed, and everything in it. If that is what you want, set deletion_protection = false, apply that, and then destroy it.", m.Name.ValueString()))
	}
}

// needPasswords is an error for each registry whose password has changed, or is new, and is not given.
func needPasswords(wanted, before map[string]registryModel, diags *diag.Diagnostics) {
	for host, r := range wanted {
		old, there := before[host]
		if r.PasswordWO.IsNull() && (!there || !old.PasswordWOVersion.Equal(r.PasswordWOVersion)) {
			diags.AddAttributeError(path.Root("registry_credentials").AtMapKey(host).AtName("password_wo"), "Password is missing", fmt.Sprintf(
				"The credential for registry %q is new, or its password_wo_version has changed, so its password must be sent: set password_wo.", host))
		}
	}
}

// planAdoption warns of what taking the namespace over will change. A cluster that cannot be looked at is no error yet.
func (r *namespaceResource) planAdoption(ctx context.Context, plan namespaceModel, diags *diag.Diagnostics) {
	client, err := r.kube(plan.Cluster)
	if errors.Is(err, errNotKnown) {
		return
	}
	spec, found := plan.spec(ctx)
	diags.Append(found...)
	var changes []string
	if err == nil {
		changes, err = namespace.Changes(ctx, client, spec)
	}
	switch {
	case errors.Is(err, namespace.ErrGone):
	case kube.IsUnreachable(err) && !plan.Cluster.IsNull():
		clusterAway(diags, plan.Cluster, client.Host(), fmt.Sprintf("namespace %q", spec.Name), err)
	case err != nil:
		report(diags, "Namespace not read", fmt.Sprintf("Looking for namespace %q, to take it over", spec.Name), err)
	case len(changes) == 0:
		diags.AddWarning("Namespace is taken over", fmt.Sprintf("There is a namespace %q already. It is as it should be, and will be managed by this resource.", spec.Name))
	default:
		diags.AddWarning("Namespace is taken over", fmt.Sprintf(
			"There is a namespace %q already. It will be managed by this resource, and these are put right in it:\n%s", spec.Name, bullets(changes)))
	}
}
