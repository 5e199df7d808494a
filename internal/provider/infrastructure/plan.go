package infrastructure

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// ValidateConfig checks known values that Brane does not check.
func (r *infrastructureResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var model infrastructureModel
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	model.checkLocation(&resp.Diagnostics)
	wanted := model.credentials(ctx, &resp.Diagnostics)
	wanted.checkRenewal(&resp.Diagnostics)
	given := wanted.KubeconfigWO
	if given.IsNull() || given.IsUnknown() {
		return
	}
	if kubeconfig := parseGiven(given.ValueString(), &resp.Diagnostics); kubeconfig != nil {
		model.checkAgainst(kubeconfig, &resp.Diagnostics)
	}
}

// warn adds warnings about values that can be registered, but that Brane can probably not use. ValidateConfig does not add them: the CLI calls it twice during a plan,
// and would show them twice.
func (m infrastructureModel) warn(given types.String, state infrastructureModel, diags *diag.Diagnostics) {
	const inside = "Inside the containers of Brane, it is the container itself. "
	if address := m.Address.ValueString(); infra.IsLoopbackAddress(address) && !m.Address.Equal(state.Address) {
		remedy := "Set address to a host:port of the API server that the Brane instance can connect to."
		if !given.IsNull() {
			remedy = "It is the server of the kubeconfig, to which Brane connects: set both to a host:port of the API server that the Brane instance can connect to."
		}
		diags.AddAttributeWarning(path.Root("address"), "Loopback address", fmt.Sprintf(
			"address is %s, a loopback address of the machine that runs Terraform. %s%s", address, inside, remedy))
	}
	if proxy := m.ProxyAddress.ValueString(); infra.IsLoopbackAddress(proxy) && !m.ProxyAddress.Equal(state.ProxyAddress) {
		diags.AddAttributeWarning(path.Root("proxy_address"), "Loopback address", fmt.Sprintf(
			"proxy_address is %s, a loopback address. %sSet proxy_address to a host:port of the proxy that the pods can connect to.", proxy, inside))
	}
	if given.IsNull() || given.IsUnknown() {
		return
	}
	if kubeconfig, err := credentials.Parse([]byte(given.ValueString())); err == nil { // ValidateConfig has reported an error
		for _, warning := range kubeconfig.Warnings {
			diags.AddAttributeWarning(path.Root("credentials").AtName("kubeconfig_wo"), "Kubeconfig warning", "In credentials.kubeconfig_wo, "+warning+".")
		}
	}
}

// checkProviderConnection adds an error if a kubeconfig with the settings of the provider's connection would not work for Brane, whose client has fewer of them.
func (m infrastructureModel) checkProviderConnection(client *kube.Client, hasAddress bool, diags *diag.Diagnostics) {
	if client.IsInsecure() {
		diags.AddAttributeError(path.Root("credentials"), "No CA certificate to register", fmt.Sprintf(
			"Registering location %q: the kubeconfig needs the CA certificate that verifies the API server, and the provider's connection to %s does not verify it (insecure). "+
				"Replace insecure by cluster_ca_certificate in the provider block, or insecure-skip-tls-verify by certificate-authority-data in its kubeconfig.", m.Name.ValueString(), client.Host()))
	}
	if name := client.ServerName(); name != "" && !hasAddress {
		diags.AddAttributeError(path.Root("address"), "Address not usable by Brane", fmt.Sprintf(
			"Registering location %q: the provider's connection to %s verifies the certificate of the API server for another name, %s (tls_server_name), which Brane's client does not support. "+
				"Set address to a host:port of the API server for which its certificate is valid.", m.Name.ValueString(), client.Host(), name))
	}
}

// ModifyPlan sets computed defaults and plans whether new credentials are registered. If not, the plan contains the attributes of the registered ones.
func (r *infrastructureResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || r.clients == nil {
		return // destroy, or the provider is not configured
	}
	var config, plan, state infrastructureModel
	attribute.Decode(ctx, req.Config, &config, &resp.Diagnostics)
	attribute.Decode(ctx, req.Plan, &plan, &resp.Diagnostics)
	if !req.State.Raw.IsNull() {
		attribute.Decode(ctx, req.State, &state, &resp.Diagnostics)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	wanted := config.credentials(ctx, &resp.Diagnostics)
	if wanted.KubeconfigWO.IsNull() || !config.Cluster.IsNull() { // kubeconfig_wo does not need a cluster of the provider block
		r.clients.PlanCluster(ctx, req, resp)
		if resp.Diagnostics.HasError() {
			return
		}
	}
	if config.Address.IsNull() {
		plan.Address = r.defaultAddress(config.Cluster, wanted, &resp.Diagnostics)
	}
	if config.SecretName.IsNull() {
		plan.SecretName = plan.Name
	}
	plan.Fingerprint, plan.ExpiresAt, plan.TokenSecret = types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
	registered, diags := req.Private.GetKey(ctx, registeredKey)
	resp.Diagnostics.Append(diags...)
	client, err := r.clients.Kubernetes(config.Cluster)
	isSame := err != nil || !wanted.KubeconfigWO.IsNull() || keepsCluster(registered, plan.Address.ValueString(), client.Host()) // defaultAddress has reported an error
	if isSame && plan.keepsCredential(ctx, state, registered, r.clients.Now(), &resp.Diagnostics) {
		plan.Fingerprint, plan.ExpiresAt, plan.TokenSecret = state.Fingerprint, state.ExpiresAt, state.TokenSecret
	} else if !wanted.LongLived.IsUnknown() {
		if !wanted.LongLived.ValueBool() {
			plan.TokenSecret = types.StringNull()
		}
		if err == nil && wanted.KubeconfigWO.IsNull() {
			plan.checkProviderConnection(client, !config.Address.IsNull(), &resp.Diagnostics)
		}
	}
	if plan.Fingerprint.IsUnknown() {
		r.checkRoom(ctx, plan, wanted, &resp.Diagnostics)
	}
	plan.warn(wanted.KubeconfigWO, state, &resp.Diagnostics)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	if r.clients.ControlPlane.BakesFiles && !resp.Plan.Raw.Equal(req.State.Raw) {
		resp.Diagnostics.AddWarning("Brane 0.6.0 must be rebuilt", fmt.Sprintf(
			"The images of Brane 0.6.0 contain infra.yml and secrets.yml. For the change of location %q to take effect, rebuild the images with the new files, "+
				"or use Brane 0.6.1 or later, which mounts the files.", plan.Name.ValueString()))
	}
}

// keepsCredential reports whether the registered credential fits the plan; registered is the private data about it. A changed renew_before alone replaces it only if it is due by the new value; the
// refresh has used the old one.
func (m infrastructureModel) keepsCredential(ctx context.Context, state infrastructureModel, registered []byte, now time.Time, diags *diag.Diagnostics) bool {
	wanted, before := m.credentials(ctx, diags), state.credentials(ctx, diags)
	if expires, err := time.Parse(time.RFC3339, state.ExpiresAt.ValueString()); err == nil && !wanted.RenewBefore.Equal(before.RenewBefore) {
		if expires.Sub(now) < attribute.DurationOrZero(wanted.RenewBefore, diags) {
			return false
		}
	}
	return withoutRenewBefore(m.credentialsOrDefault()).Equal(withoutRenewBefore(state.credentialsOrDefault())) && m.Name.Equal(state.Name) &&
		fits(registered, m.Address.ValueString(), m.Namespace.ValueString())
}

// withoutRenewBefore returns the credentials with renew_before set to null.
func withoutRenewBefore(credentials types.Object) types.Object {
	values := credentials.Attributes()
	if _, isSet := values["renew_before"]; !isSet {
		return credentials // null or unknown as a whole
	}
	values["renew_before"] = timetypes.NewGoDurationNull()
	return types.ObjectValueMust(credentialsTypes, values)
}

// checkRenewal adds an error if a token would be due as soon as it is issued.
func (m credentialsModel) checkRenewal(diags *diag.Diagnostics) {
	if m.Lifetime.IsUnknown() {
		return
	}
	if lifetime, renewBefore := m.lifetime(diags), attribute.DurationOrZero(m.RenewBefore, diags); renewBefore >= lifetime {
		diags.AddAttributeError(path.Root("credentials").AtName("renew_before"), "Invalid renew_before", fmt.Sprintf(
			"renew_before is %s and the lifetime of the token is %s, so that each plan would replace the token. Set renew_before to less than the lifetime.",
			attribute.FormatDuration(renewBefore), attribute.FormatDuration(lifetime)))
	}
}

// defaultAddress returns the API server of kubeconfig_wo, or that of the provider's connection. It is unknown if that is not known yet.
func (r *infrastructureResource) defaultAddress(cluster types.String, model credentialsModel, diags *diag.Diagnostics) types.String {
	given := model.KubeconfigWO
	if given.IsUnknown() {
		return types.StringUnknown()
	}
	var server string
	if given.IsNull() {
		client, err := r.clients.Kubernetes(cluster)
		if errors.Is(err, clients.ErrNotKnown) {
			return types.StringUnknown()
		}
		if err != nil {
			diagnostic.AddError(diags, "Failed to connect to the cluster", "Reading the default of address from the provider's connection to the cluster", err)
			return types.StringUnknown()
		}
		server = client.Host()
	} else if kubeconfig, err := credentials.Parse([]byte(given.ValueString())); err == nil { // ValidateConfig has reported an error
		server = kubeconfig.Server
	}
	address := hostPort(server)
	if address == "" {
		diags.AddAttributeError(path.Root("address"), "Cannot determine API server address",
			"The connection of the provider has no host and port. Set address to the host:port of the API server.")
		return types.StringUnknown()
	}
	return types.StringValue(address)
}

// checkLocation adds an error for each known value that Brane cannot use.
func (m infrastructureModel) checkLocation(diags *diag.Diagnostics) {
	given := map[string]types.String{
		"name": m.Name, "address": m.Address, "namespace": m.Namespace, "registry": m.Registry, "callback_to": m.CallbackTo,
		"proxy_address": m.ProxyAddress, "mount_dfs": m.MountDFS, "secret_name": m.SecretName,
	}
	for _, problem := range m.toLocation().Validate() {
		if value, ok := given[problem.Field]; ok && !value.IsUnknown() && !value.IsNull() {
			diags.AddAttributeError(path.Root(problem.Field), "Invalid "+problem.Field, fmt.Sprintf("%s is not valid: %s.", problem.Field, problem.Sentence))
		}
	}
}

// checkAgainst adds an error for each known value of the location that does not match the kubeconfig.
func (m infrastructureModel) checkAgainst(kubeconfig *credentials.Kubeconfig, diags *diag.Diagnostics) {
	for _, problem := range kubeconfig.Check(m.Address.ValueString(), m.Namespace.ValueString()) {
		value := map[string]types.String{"address": m.Address, "namespace": m.Namespace}[problem.Field]
		if !value.IsUnknown() && !value.IsNull() {
			diags.AddAttributeError(path.Root(problem.Field), "Kubeconfig does not match the location", problem.Sentence+".")
		}
	}
}

// rebuild is what to do about a user of a kubeconfig that is an attribute of another resource, as azurerm_kubernetes_cluster has, and cannot be edited.
const rebuild = `

If the kubeconfig comes from another resource and has a token, register that alone:

locals {
  given = yamldecode(<the kubeconfig>)
}

kubeconfig_wo = provider::brane::kubeconfig(
  local.given.clusters[0].cluster.server,
  base64decode(local.given.clusters[0].cluster.certificate-authority-data),
  local.given.users[0].user.token,
  "<namespace>",
)`

// parseGiven parses kubeconfig_wo. It returns nil if Brane cannot use it; the diagnostics contain no secret.
func parseGiven(text string, diags *diag.Diagnostics) *credentials.Kubeconfig {
	at := path.Root("credentials").AtName("kubeconfig_wo")
	kubeconfig, err := credentials.Parse([]byte(text))
	for _, problem := range credentials.FieldErrors(err) {
		detail := problem.Sentence + "."
		if problem.Field != "" {
			detail = problem.Field + ": " + detail
		}
		if strings.HasPrefix(problem.Field, "users[") {
			detail += rebuild
		}
		diags.AddAttributeError(at, "Unsupported kubeconfig", detail)
	}
	if err != nil {
		return nil
	}
	return kubeconfig
}
