// Package kubeconfig implements the ephemeral resource brane_kubeconfig and the function provider::brane::kubeconfig.
package kubeconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

var (
	_ ephemeral.EphemeralResourceWithConfigure      = &kubeconfigEphemeral{}
	_ ephemeral.EphemeralResourceWithRenew          = &kubeconfigEphemeral{}
	_ ephemeral.EphemeralResourceWithValidateConfig = &kubeconfigEphemeral{}
)

// shortLifetime is the default lifetime of a token, longer than most applies.
const shortLifetime = time.Hour

// NewEphemeralResource returns the ephemeral resource `brane_kubeconfig`.
func NewEphemeralResource() ephemeral.EphemeralResource { return &kubeconfigEphemeral{} }

type kubeconfigEphemeral struct{ clients *clients.Clients }

func (e *kubeconfigEphemeral) Metadata(_ context.Context, req ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_kubeconfig"
}

func (e *kubeconfigEphemeral) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A short-lived token of a service account, and a kubeconfig with it. Neither is stored in the state or in a plan. Both are valid until they expire, also after Terraform has finished. " +
			"Kubernetes cannot extend a token: a warning is shown when it is about to expire during an operation.",
		Attributes: map[string]schema.Attribute{
			"cluster": schema.StringAttribute{
				MarkdownDescription: attribute.ClusterDescription,
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"namespace": schema.StringAttribute{
				MarkdownDescription: "Namespace of the service account, and of the kubeconfig's context.",
				Required:            true,
				Validators:          []validator.String{attribute.DNSLabel()},
			},
			"namespace_uid": schema.StringAttribute{
				MarkdownDescription: "Required UID of the namespace. With `brane_namespace.….uid` Terraform requests the token after a namespace of the same apply is created.",
				Optional:            true,
			},
			"service_account": schema.StringAttribute{
				MarkdownDescription: "Name of the service account. Defaults to `" + namespace.ObjectName + "`.",
				Optional:            true,
				Computed:            true,
				Validators:          []validator.String{attribute.DNSSubdomain()},
			},
			"audiences": schema.ListAttribute{
				MarkdownDescription: "Audiences of the token. Defaults to that of the API server.",
				ElementType:         types.StringType,
				Optional:            true,
				Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(stringvalidator.LengthAtLeast(1))},
			},
			"lifetime": schema.StringAttribute{
				MarkdownDescription: "Requested lifetime of the token, for example `30m`; at least `10m`. A warning is shown if the API server grants less. Defaults to `1h`.",
				CustomType:          timetypes.GoDurationType{},
				Optional:            true,
				Computed:            true,
				Validators:          []validator.String{attribute.DurationAtLeast(10*time.Minute, "ten minutes")},
			},
			"address": schema.StringAttribute{
				MarkdownDescription: "`host:port` of the API server for the users of the kubeconfig. Defaults to the API server to which the provider connects.",
				Optional:            true,
				Validators:          []validator.String{attribute.NewSecretRule("address", serverProblems)},
			},
			"host":                   schema.StringAttribute{MarkdownDescription: "URL of the API server.", Computed: true},
			"cluster_ca_certificate": schema.StringAttribute{MarkdownDescription: "PEM-encoded CA certificates that verify the API server. Empty if the trusted root CAs of the system verify it.", Computed: true},
			"token":                  schema.StringAttribute{MarkdownDescription: "Bearer token.", Computed: true, Sensitive: true},
			"kubeconfig":             schema.StringAttribute{MarkdownDescription: "Kubeconfig, self-contained.", Computed: true, Sensitive: true},
			"expires_at":             schema.StringAttribute{MarkdownDescription: "Expiry time of the token (RFC 3339).", Computed: true},
		},
	}
}

type kubeconfigModel struct {
	Cluster              types.String         `tfsdk:"cluster"`
	Namespace            types.String         `tfsdk:"namespace"`
	NamespaceUID         types.String         `tfsdk:"namespace_uid"`
	ServiceAccount       types.String         `tfsdk:"service_account"`
	Audiences            []string             `tfsdk:"audiences"`
	Lifetime             timetypes.GoDuration `tfsdk:"lifetime"`
	Address              types.String         `tfsdk:"address"`
	Host                 types.String         `tfsdk:"host"`
	ClusterCACertificate types.String         `tfsdk:"cluster_ca_certificate"`
	Token                types.String         `tfsdk:"token"`
	Kubeconfig           types.String         `tfsdk:"kubeconfig"`
	ExpiresAt            types.String         `tfsdk:"expires_at"`
}

func (e *kubeconfigEphemeral) Configure(_ context.Context, req ephemeral.ConfigureRequest, resp *ephemeral.ConfigureResponse) {
	e.clients = clients.FromProviderData(req.ProviderData, &resp.Diagnostics)
}

// ValidateConfig reports null elements.
func (e *kubeconfigEphemeral) ValidateConfig(_ context.Context, req ephemeral.ValidateConfigRequest, resp *ephemeral.ValidateConfigResponse) {
	attribute.CheckElements(req.Config, &resp.Diagnostics)
}

func (e *kubeconfigEphemeral) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var model kubeconfigModel
	if !attribute.Decode(ctx, req.Config, &model, &resp.Diagnostics) {
		return
	}
	if model.ServiceAccount.IsNull() {
		model.ServiceAccount = types.StringValue(namespace.ObjectName)
	}
	if model.Lifetime.IsNull() {
		model.Lifetime = timetypes.NewGoDurationValueFromStringMust(attribute.FormatDuration(shortLifetime))
	}
	tried := fmt.Sprintf("Requesting a token of service account %q in namespace %q", model.ServiceAccount.ValueString(), model.Namespace.ValueString())
	client, err := e.clients.ConnectKubernetes(ctx, model.Cluster)
	var none *clients.NoClusterError
	switch {
	case errors.Is(err, clients.ErrNotKnown) && req.ClientCapabilities.DeferralAllowed:
		resp.Deferred = &ephemeral.Deferred{Reason: ephemeral.DeferredReasonProviderConfigUnknown}
		return
	case errors.As(err, &none):
		resp.Diagnostics.AddAttributeError(path.Root("cluster"), "Unknown cluster", diagnostic.ErrorDetail(tried, err))
		return
	case err != nil:
		diagnostic.AddError(&resp.Diagnostics, "Failed to connect to the cluster", tried, err)
		return
	}
	token := model.openToken(ctx, client, tried, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Result.Set(ctx, model)...)
	resp.RenewAt = token.Expires.Add(-token.Lifetime() / 10)
	left, err := json.Marshal(openToken{model.ServiceAccount.ValueString(), model.Namespace.ValueString(), model.ExpiresAt.ValueString()})
	if err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to store the token's expiry", tried, err)
		return
	}
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, openTokenKey, left)...)
}

// openToken requests the token and sets the computed attributes.
func (m *kubeconfigModel) openToken(ctx context.Context, client *kube.Client, tried string, diags *diag.Diagnostics) credentials.Token {
	lifetime := attribute.DurationOrZero(m.Lifetime, diags)
	if !m.NamespaceUID.IsNull() {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: m.Namespace.ValueString()}}
		if err := client.Get(ctx, ns); err != nil {
			diagnostic.AddError(diags, "Failed to request a token", fmt.Sprintf("Reading namespace %q for its UID", ns.Name), err)
		} else if uid := m.NamespaceUID.ValueString(); string(ns.UID) != uid {
			diags.AddAttributeError(path.Root("namespace_uid"), "Namespace UID mismatch",
				fmt.Sprintf("Namespace %q in the cluster at %s has the UID %s, not %s: it was deleted and created again.", ns.Name, client.Host(), ns.UID, uid))
		}
	}
	if diags.HasError() {
		return credentials.Token{}
	}
	token, err := credentials.RequestToken(ctx, client, m.Namespace.ValueString(), m.ServiceAccount.ValueString(), lifetime, m.Audiences)
	var ca []byte
	if err == nil {
		ca, err = client.CA()
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to request a token", tried, err)
		return token
	}
	if token.Shortened() {
		diags.AddAttributeWarning(path.Root("lifetime"), "Token lifetime shorter than requested",
			fmt.Sprintf("%s for %s, the API server granted %s.", tried, attribute.FormatDuration(lifetime), attribute.FormatDuration(token.Lifetime())))
	}
	m.Host = types.StringValue(client.Host())
	if !m.Address.IsNull() {
		m.Host = types.StringValue(serverURL(m.Address.ValueString()))
	}
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{
		Server: m.Host.ValueString(), CA: ca, Token: token.Value, Namespace: m.Namespace.ValueString(), Name: m.Namespace.ValueString(),
	})
	if err != nil {
		diagnostic.AddError(diags, "Failed to write kubeconfig", tried, err)
	}
	m.ClusterCACertificate, m.Token = types.StringValue(string(ca)), types.StringValue(token.Value)
	m.Kubeconfig, m.ExpiresAt = types.StringValue(string(kubeconfig)), attribute.TimeOrNull(token.Expires)
	return token
}

// openToken is the information about a token that Renew needs.
type openToken struct{ Account, Namespace, Expires string }

const openTokenKey = "token"

// Renew is called shortly before the token expires. Neither Kubernetes nor Terraform can extend or exchange a token that is in use, so that it can only warn
// that requests will be rejected.
func (e *kubeconfigEphemeral) Renew(ctx context.Context, req ephemeral.RenewRequest, resp *ephemeral.RenewResponse) {
	left, diags := req.Private.GetKey(ctx, openTokenKey)
	resp.Diagnostics.Append(diags...)
	var token openToken
	if err := json.Unmarshal(left, &token); err != nil {
		diagnostic.AddError(&resp.Diagnostics, "Failed to read the token's expiry", "Reading the data that was stored when the token was issued", err)
		return
	}
	resp.Diagnostics.AddWarning("Token expires during this operation", fmt.Sprintf(
		"The token of service account %q in namespace %q expires at %s; requests with it are rejected from then on. Set lifetime to more than the duration of the operation.",
		token.Account, token.Namespace, token.Expires))
}

// serverProblems returns the problems of the address of an API server: host:port or a URL.
func serverProblems(address string) []string {
	server, err := url.Parse(serverURL(address))
	if err != nil || server.Hostname() == "" || server.Scheme != "https" || server.User != nil || server.RawQuery != "" || server.Fragment != "" {
		return []string{"it must be host:port or an https URL of an API server, such as 203.0.113.7:6443"}
	}
	return nil
}

// serverURL returns the URL of an API server from host:port or a URL.
func serverURL(address string) string {
	if strings.Contains(address, "://") {
		return address
	}
	return "https://" + address
}
