package infrastructure

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
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var _ action.ActionWithConfigure = &rotateCredentialAction{}

// NewRotateCredentialAction returns the action `brane_rotate_credential`.
func NewRotateCredentialAction() action.Action { return &rotateCredentialAction{} }

// rotateCredentialAction replaces a registered token by a new one of the same service account and lifetime. The next refresh of the resource accepts it.
type rotateCredentialAction struct{ clients *clients.Clients }

func (a *rotateCredentialAction) Metadata(_ context.Context, req action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_rotate_credential"
}

func (a *rotateCredentialAction) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Replaces the registered token of an infrastructure by a new one of the same service account and lifetime (Terraform 1.14). The next plan is empty. " +
			"A long-lived token is revoked after the new one is registered; any other token stays valid until it expires or its service account is deleted. Runs in progress continue with the new token. " +
			"Without actions, use `credentials.rotation_triggers` of `brane_infrastructure`.",
		Attributes: map[string]schema.Attribute{
			"infrastructure": schema.StringAttribute{
				MarkdownDescription: "Name of the location.",
				Required:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"cluster": schema.StringAttribute{
				MarkdownDescription: attribute.ClusterDescription,
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
	a.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

func (a *rotateCredentialAction) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	var model rotateCredentialModel
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	ctx, done := attribute.WithLimit(ctx, infrastructureTimeout)
	defer done()

	name := model.Infrastructure.ValueString()
	err := a.rotate(ctx, name, model.Cluster, func(format string, args ...any) {
		resp.SendProgress(action.InvokeProgressEvent{Message: fmt.Sprintf(format, args...)})
	})
	switch {
	case errors.Is(err, infra.ErrNoLocation), errors.Is(err, errNoToken):
		resp.Diagnostics.AddAttributeError(path.Root("infrastructure"), "Failed to rotate credential", diagnostic.ErrorDetail(fmt.Sprintf("Requesting a new token for infrastructure %q", name), err))
	case err != nil:
		diagnostic.AddError(&resp.Diagnostics, "Failed to rotate credential", fmt.Sprintf("Requesting a new token for infrastructure %q", name), err)
	}
}

// errNoToken reports that the registered credentials are not a token of a service account, so that the provider cannot replace them.
var errNoToken = errors.New("the registered credentials are not a token of a service account; set another kubeconfig_wo of the brane_infrastructure instead")

func (a *rotateCredentialAction) rotate(ctx context.Context, name string, cluster types.String, progress func(format string, args ...any)) (err error) {
	store, err := a.clients.ConfigStore()
	if err != nil {
		return err
	}
	client, err := a.clients.Kubernetes(cluster)
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
	made, granted, err := issueToken(ctx, client, registration.Location, account, expires.IsZero(), expires.Sub(issued))
	if err != nil {
		return err
	}
	registered := false
	defer func() {
		if made.secret != "" && !registered {
			after, done := attribute.WithCleanupLimit(ctx)
			defer done()
			err = errors.Join(err, credentials.Revoke(after, client, made.namespace, made.secret))
		}
	}()
	progress("Issued a new token of service account %q", account)
	renewed, err := clients.NewKubernetes(made.parsed.Config())
	if err != nil {
		return err
	}
	if _, err := credentials.WaitUntilAccepted(ctx, renewed, namespace, settling); err != nil {
		return err
	}
	if err := infra.ReplaceKubeconfig(ctx, store, registration, made.raw); err != nil {
		return err
	}
	registered = true
	if granted.Expires.IsZero() {
		progress("Registered the new token in the %s", store)
	} else {
		progress("Registered the new token in the %s; it expires at %s", store, granted.Expires.UTC().Format(time.RFC3339))
	}
	if secret := old.TokenSecret(); secret != "" {
		if err := credentials.Revoke(ctx, client, namespace, secret); err != nil {
			return fmt.Errorf("the new token is registered, but the old one stays valid until Secret %q in namespace %q is deleted; delete it manually: %w", secret, namespace, err)
		}
	}
	return nil
}
