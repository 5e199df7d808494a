package provider

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
)

var (
	_ resource.ResourceWithConfigure      = &infrastructureResource{}
	_ resource.ResourceWithImportState    = &infrastructureResource{}
	_ resource.ResourceWithModifyPlan     = &infrastructureResource{}
	_ resource.ResourceWithValidateConfig = &infrastructureResource{}
)

// infrastructureTimeout bounds each operation: a token, a probe and two files.
const infrastructureTimeout = 2 * time.Minute

func newInfrastructureResource() resource.Resource {
	return &infrastructureResource{resourceBase{name: "infrastructure"}}
}

type infrastructureResource struct{ resourceBase }

func (r *infrastructureResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Registers a cluster with a Brane instance (0.4 to 0.6), in the files that the instance reads: a location in `infra.yml`, and in `secrets.yml` a kubeconfig " +
			"with a token of the service account. Other locations, unknown keys, comments and order in these files stay as they are. " +
			"The token is renewed when less than a third of its life is left; no credential is kept in the state.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				MarkdownDescription: "Name of the location.",
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"cluster": clusterAttribute(),
			"address": schema.StringAttribute{
				MarkdownDescription: "`host:port` of the API server as the Brane instance reaches it. Default: the address of the provider's own connection.",
				Optional:            true,
				Computed:            true,
			},
			"namespace": schema.StringAttribute{
				MarkdownDescription: "Namespace in which Brane makes its Jobs, and in which the service account is.",
				Required:            true,
				Validators:          []validator.String{dnsLabel()},
			},
			"registry": schema.StringAttribute{
				MarkdownDescription: "`host:port` of the registry of the Brane instance as the cluster's nodes reach it, without a scheme.",
				Required:            true,
			},
			"callback_to": schema.StringAttribute{
				MarkdownDescription: "URL of the instance's callback service (brane-clb) as pods reach it, for example `http://198.51.100.10:50052`.",
				Required:            true,
			},
			"proxy_address": schema.StringAttribute{
				MarkdownDescription: "Address of the proxy through which containers reach each other, if any.",
				Optional:            true,
			},
			"mount_dfs": schema.StringAttribute{
				MarkdownDescription: "URL of the Redis of the instance's file system as pods reach it, for example `redis://198.51.100.10`.",
				Optional:            true,
			},
			"credentials": schema.SingleNestedAttribute{
				MarkdownDescription: "The credential that is registered.",
				Required:            true,
				Attributes: map[string]schema.Attribute{
					"service_account": schema.StringAttribute{
						MarkdownDescription: "Service account in `namespace` for which a token is minted.",
						Required:            true,
						Validators:          []validator.String{dnsLabel()},
					},
					"lifetime": schema.StringAttribute{
						MarkdownDescription: "How long a token is asked to be good for, for example `720h`. The API server may grant less. Default: `2160h` (90 days).",
						CustomType:          timetypes.GoDurationType{},
						Optional:            true,
						Computed:            true,
						Default:             stringdefault.StaticString("2160h"),
						Validators:          []validator.String{durationOf("at least ten minutes", atLeastTenMinutes)}, // the API server's own lower bound
					},
				},
			},
			"verify": schema.BoolAttribute{
				MarkdownDescription: "Try the credential against the API server, before it is registered and whenever Terraform looks. " +
					"Set it to `false` where `address` cannot be reached from this machine. Default: `true`.",
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(true),
			},
			"expires_at": schema.StringAttribute{
				MarkdownDescription: "When the registered token expires (RFC 3339).",
				Computed:            true,
			},
			"fingerprint": schema.StringAttribute{
				MarkdownDescription: "Salted digest of the registered kubeconfig, by which a change is noticed.",
				Computed:            true,
			},
			"drift": driftAttribute(),
		},
	}
}

// ValidateConfig checks what Brane itself never checks.
func (r *infrastructureResource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var model infrastructureModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	given := map[string]types.String{
		"name": model.Name, "address": model.Address, "namespace": model.Namespace, "registry": model.Registry,
		"callback_to": model.CallbackTo, "proxy_address": model.ProxyAddress, "mount_dfs": model.MountDFS,
	}
	for _, problem := range model.location().Validate() {
		if value, ok := given[problem.Field]; ok && !value.IsUnknown() && !value.IsNull() {
			resp.Diagnostics.AddAttributeError(path.Root(problem.Field), "Value is not one that Brane can use", problem.Sentence)
		}
	}
}

// ModifyPlan fills in the address of the provider's own connection where none is given.
func (r *infrastructureResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || r.connections == nil {
		return // destroy, or no provider configuration to take it from
	}
	r.planCluster(ctx, req, resp)
	var given, cluster types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("address"), &given)...)
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("cluster"), &cluster)...)
	if resp.Diagnostics.HasError() || !given.IsNull() {
		return
	}
	address := types.StringUnknown()
	client, err := r.kube(cluster)
	switch {
	case errors.Is(err, errNotKnown):
	case err != nil:
		report(&resp.Diagnostics, "No address", "Taking the address of the API server from the provider block", err)
		return
	default:
		server, err := url.Parse(client.Host())
		if err != nil || server.Host == "" {
			resp.Diagnostics.AddAttributeError(path.Root("address"), "No address",
				"The provider's own connection has no host and port that could stand here. Set address to host:port of the API server.")
			return
		}
		address = types.StringValue(hostPort(server))
	}
	resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("address"), address)...)
}

func (r *infrastructureResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var model infrastructureModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &model)...)
	store, err := r.store()
	if err != nil {
		report(&resp.Diagnostics, "No control plane", fmt.Sprintf("Looking for the files of the Brane instance to register %q", model.Name.ValueString()), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := withTimeout(ctx, infrastructureTimeout, "create")
	defer done()

	location := model.location()
	_, err = infra.Lookup(ctx, store, location.Name)
	if !errors.Is(err, infra.ErrNoLocation) {
		if err == nil || errors.Is(err, infra.ErrNoSecret) {
			resp.Diagnostics.AddAttributeError(path.Root("name"), "Location exists already", fmt.Sprintf(
				"There is a location %[1]q in the %[2]s, and Terraform did not make it. To manage it from here, import it:\n\n"+
					"import {\n  to = brane_infrastructure.<NAME>\n  id = %[1]q\n}", location.Name, store))
			return
		}
		report(&resp.Diagnostics, "Location not registered", fmt.Sprintf("Registering %q in the %s", location.Name, store), err)
		return
	}
	if r.register(ctx, store, &model, nil, &resp.Diagnostics) {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}

func (r *infrastructureResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var model infrastructureModel
	resp.Diagnostics.Append(req.State.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := model.Name.ValueString()
	store, err := r.store()
	if errors.Is(err, errNotKnown) {
		notRefreshed(&resp.Diagnostics, fmt.Sprintf("infrastructure %q", name))
		return
	}
	if err != nil {
		report(&resp.Diagnostics, "No control plane", fmt.Sprintf("Looking for the files of the Brane instance to read location %q", name), err)
		return
	}
	ctx, done := withTimeout(ctx, infrastructureTimeout, "read")
	defer done()

	imported := model.Namespace.IsNull()
	registration, err := infra.Lookup(ctx, store, name)
	var encoding *infra.EncodingError
	var found []string
	switch {
	case errors.Is(err, infra.ErrNoLocation) && imported:
		resp.State.RemoveResource(ctx)
		return
	case errors.Is(err, infra.ErrNoLocation):
		found = []string{fmt.Sprintf("location %q is missing from the %s", name, store)}
	case errors.Is(err, infra.ErrNoSecret), errors.As(err, &encoding):
		found = []string{err.Error()}
		model.refresh(registration.Location)
	case err != nil:
		report(&resp.Diagnostics, "Location not read", fmt.Sprintf("Reading location %q from the %s", name, store), err)
		return
	default:
		model.refresh(registration.Location)
		found = r.inspect(ctx, &model, registration, imported, &resp.Diagnostics)
	}
	model.Drift = drift(found)
	resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
}

func (r *infrastructureResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var model, state infrastructureModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &model)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	store, err := r.store()
	if err != nil {
		report(&resp.Diagnostics, "No control plane", fmt.Sprintf("Looking for the files of the Brane instance to change location %q", model.Name.ValueString()), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := withTimeout(ctx, infrastructureTimeout, "update")
	defer done()

	var kubeconfig []byte // the registered one, where it is still good for what is wanted
	if noDrift().Equal(state.Drift) && model.Credentials.Equal(state.Credentials) && model.Address.Equal(state.Address) && model.Namespace.Equal(state.Namespace) {
		registration, err := infra.Lookup(ctx, store, model.Name.ValueString())
		if err != nil {
			report(&resp.Diagnostics, "Location not changed", fmt.Sprintf("Reading location %q from the %s", model.Name.ValueString(), store), err)
			return
		}
		kubeconfig = registration.Kubeconfig
	}
	if r.register(ctx, store, &model, kubeconfig, &resp.Diagnostics) {
		resp.Diagnostics.Append(resp.State.Set(ctx, model)...)
	}
}

func (r *infrastructureResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var model infrastructureModel
	resp.Diagnostics.Append(req.State.Get(ctx, &model)...)
	name := model.Name.ValueString()
	store, err := r.store()
	if err != nil {
		report(&resp.Diagnostics, "No control plane", fmt.Sprintf("Looking for the files of the Brane instance to remove location %q", name), err)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := withTimeout(ctx, infrastructureTimeout, "delete")
	defer done()

	if err := infra.Unregister(ctx, store, name); err != nil {
		report(&resp.Diagnostics, "Location not removed", fmt.Sprintf("Removing location %q from the %s", name, store), err)
	}
}

func (r *infrastructureResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	importNamed(ctx, req, resp)
}

// register writes the location with a credential that was tried before: the given kubeconfig, or a new one.
func (r *infrastructureResource) register(ctx context.Context, store infra.Store, model *infrastructureModel, kubeconfig []byte, diags *diag.Diagnostics) bool {
	location := model.location()
	if kubeconfig == nil {
		kubeconfig = r.mint(ctx, model, location, diags)
	}
	if diags.HasError() {
		return false
	}
	parsed, err := credentials.Parse(kubeconfig)
	if err != nil {
		report(diags, "Credential not usable", fmt.Sprintf("Checking the kubeconfig for location %q", location.Name), err)
		return false
	}
	if model.Verify.ValueBool() {
		if err := probe(ctx, parsed, location.Namespace, diags); err != nil {
			report(diags, "Credential not good for Brane", fmt.Sprintf("Trying the credential of location %q against %s; nothing was registered", location.Name, parsed.Server), err)
			return false
		}
	}
	if err := infra.Register(ctx, store, location, kubeconfig); err != nil {
		report(diags, "Location not registered", fmt.Sprintf("Writing location %q to the %s", location.Name, store), err)
		return false
	}
	_, expires, _ := parsed.Lifetime()
	model.setCredential(kubeconfig, expires)
	return true
}

// mint makes a kubeconfig with a new token of the service account.
func (r *infrastructureResource) mint(ctx context.Context, model *infrastructureModel, location infra.Location, diags *diag.Diagnostics) []byte {
	account, lifetime := model.account(ctx, diags)
	tried := fmt.Sprintf("Asking for a token of service account %q in namespace %q", account, location.Namespace)
	client, err := r.kube(model.Cluster)
	var token credentials.Token
	var ca []byte
	if err == nil {
		token, err = credentials.Mint(ctx, client, location.Namespace, account, lifetime, nil)
	}
	if err == nil {
		ca, err = client.CA()
	}
	if err != nil {
		diags.AddAttributeError(path.Root("credentials").AtName("service_account"), "No token", explain(tried, err))
		return nil
	}
	if token.Shortened() {
		diags.AddAttributeWarning(path.Root("credentials").AtName("lifetime"), "Token lives shorter than asked", fmt.Sprintf(
			"%s for %s, the API server granted %s. Plan at least that often, so that it is renewed in time.", tried, lifetime, token.Lifetime()))
	}
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{
		Server: "https://" + location.Address, CA: ca, Token: token.Value, Namespace: location.Namespace, Name: location.Name,
	})
	if err != nil {
		report(diags, "No kubeconfig", fmt.Sprintf("Writing the kubeconfig for location %q", location.Name), err)
	}
	return kubeconfig
}

// inspect says what is not as it should be with a registration, a sentence each.
func (r *infrastructureResource) inspect(ctx context.Context, model *infrastructureModel, registration infra.Registration, imported bool, diags *diag.Diagnostics) []string {
	var found []string
	before := model.Fingerprint
	kubeconfig, err := credentials.Parse(registration.Kubeconfig)
	if err != nil {
		return []string{"the registered kubeconfig is not one that Brane can use: " + err.Error()}
	}
	issued, expires, _ := kubeconfig.Lifetime()
	model.setCredential(registration.Kubeconfig, expires)
	if !imported && !before.Equal(model.Fingerprint) {
		found = append(found, "the registered credential was replaced by another one")
	}
	for _, problem := range kubeconfig.Check(registration.Location.Address, registration.Location.Namespace) {
		found = append(found, problem.Sentence)
	}
	if !expires.IsZero() && time.Until(expires) < expires.Sub(issued)/3 {
		found = append(found, fmt.Sprintf("the registered token is to be renewed: it expires at %s", expires.UTC().Format(time.RFC3339)))
	}
	if imported {
		model.adopt(kubeconfig)
	}
	if model.Verify.ValueBool() {
		err := probe(ctx, kubeconfig, registration.Location.Namespace, diags)
		switch {
		case errors.Is(err, credentials.ErrUnauthorized), errors.Is(err, credentials.ErrForbidden):
			found = append(found, err.Error())
		case err != nil:
			diags.AddWarning("Credential not tried", explain(fmt.Sprintf("Trying the registered credential of location %q", model.Name.ValueString()), err))
		}
	}
	return found
}

// probe tries a credential and warns where it may do more than Brane needs.
func probe(ctx context.Context, kubeconfig *credentials.Kubeconfig, namespace string, diags *diag.Diagnostics) error {
	client, err := kubeconfig.Client()
	if err != nil {
		return err
	}
	report, err := credentials.Probe(ctx, client, namespace)
	if len(report.Powers) > 0 {
		diags.AddAttributeWarning(path.Root("credentials"), "Credential may do more than Brane needs",
			fmt.Sprintf("The registered credential is kept in clear on the control plane. It may do too much:\n%s\n\nUse a service account that is limited to namespace %q.", bullets(report.Powers), namespace))
	}
	return err
}

// hostPort is the server's host and port; https has port 443 where none is written.
func hostPort(server *url.URL) string {
	if server.Port() != "" {
		return server.Host
	}
	return server.Host + ":443"
}

func atLeastTenMinutes(d time.Duration) bool { return d >= 10*time.Minute }
