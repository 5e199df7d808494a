package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
)

var _ action.ActionWithConfigure = &rotateCredentialAction{}

func newRotateCredentialAction() action.Action { return &rotateCredentialAction{} }

// rotateCredentialAction registers a new token in the place of an old one, of the same account and for as long. The resource takes it for its own when it
// looks again.
type rotateCredentialAction struct{ *connections }

func (a *rotateCredentialAction) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_rotate_credential"
}

func (a *rotateCredentialAction) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Gives an infrastructure a new token now (Terraform 1.14): of the same service account and for as long as the registered one. The next plan finds nothing to change. " +
			"A long-lived token is revoked when the new one is registered; another stays good until it expires, or until its service account is deleted. " +
			"Where there are no actions, `credentials.rotation_triggers` of `brane_infrastructure` does the same.",
		Attributes: map[string]schema.Attribute{
			"infrastructure": schema.StringAttribute{
				MarkdownDescription: "Name of the location.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"cluster": schema.StringAttribute{
				MarkdownDescription: clusterDescription,
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
		},
	}
}

type rotateCredentialModel struct {
	Infrastructure types.String `tfsdk:"infrastructure"`
	Cluster        types.String `tfsdk:"cluster"`
}

func (a *rotateCredentialAction) Configure(_ context.Context, req action.ConfigureRequest, resp *action.ConfigureResponse) {
	a.connections = connectionsOf(req.ProviderData, &resp.Diagnostics)
}

func (a *rotateCredentialAction) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	var model rotateCredentialModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, done := within(ctx, infrastructureTimeout)
	defer done()

	name := model.Infrastructure.ValueString()
	err := a.rotate(ctx, name, model.Cluster, func(format string, args ...any) {
		resp.SendProgress(action.InvokeProgressEvent{Message: fmt.Sprintf(format, args...)})
	})
	switch {
	case errors.Is(err, infra.ErrNoLocation), errors.Is(err, errNoToken):
		resp.Diagnostics.AddAttributeError(path.Root("infrastructure"), "Failed to rotate credential", explain(fmt.Sprintf("Making a new token for infrastructure %q", name), err))
	case err != nil:
		report(&resp.Diagnostics, "Failed to rotate credential", fmt.Sprintf("Making a new token for infrastructure %q", name), err)
	}
}

// errNoToken says that what is registered is somebody's own credential, of which there is no other to be had.
var errNoToken = errors.New("what is registered is no token of a service account; give brane_infrastructure another kubeconfig instead")

func (a *rotateCredentialAction) rotate(ctx context.Context, name string, cluster types.String, tell func(format string, args ...any)) (err error) {
	store, err := a.store()
	if err != nil {
		return err
	}
	client, err := a.kube(cluster)
	if err != nil {
		return err
	}
	registration, err := infra.Lookup(ctx, store, name)
	if err != nil {
		return err
	}
	old, err := credentials.Parse(registration.Kubeconfig)
	if err != nil {
		return fmt.Errorf("read the registered kubeconfig: %w", err)
	}
	namespace, account, ok := old.ServiceAccount()
	if !ok || namespace != registration.Location.Namespace {
		return errNoToken
	}
	issued, expires, _ := old.Lifetime()
	made, granted, err := mint(ctx, client, registration.Location, account, expires.IsZero(), expires.Sub(issued))
	if err != nil {
		return err
	}
	registered := false
	defer func() {
		if made.secret != "" && !registered {
			after, done := afterwards(ctx)
			defer done()
			err = errors.Join(err, credentials.Revoke(after, client, made.namespace, made.secret))
		}
	}()
	tell("Service account %q has a new token", account)
	renewed, err := made.parsed.Client()
	if err != nil {
		return err
	}
	if _, err := credentials.WaitUntilAccepted(ctx, renewed, namespace, settling); err != nil {
		return err
	}
	if err := infra.Register(ctx, store, registration.Location, made.raw); err != nil {
		return err
	}
	registered = true
	if granted.Expires.IsZero() {
		tell("The new token is registered in the %s", store)
	} else {
		tell("The new token is registered in the %s; it expires at %s", store, granted.Expires.UTC().Format(time.RFC3339))
	}
	if secret := old.TokenSecret(); secret != "" {
		if err := credentials.Revoke(ctx, client, namespace, secret); err != nil {
			return fmt.Errorf("the new token is registered, and the old one is good as long as Secret %q in namespace %q is there; delete that by hand: %w", secret, namespace, err)
		}
	}
	return nil
}
