package infrastructure

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// settling is the time for which a new service account and role may be unknown to the API server.
const settling = 15 * time.Second

// credential is a kubeconfig to register. Without a kubeconfig it is invalid, and the diagnostics contain the reason.
type credential struct {
	raw       []byte
	parsed    *credentials.Kubeconfig
	issued    bool   // whether the provider has just requested the token
	namespace string // of the Secret of a new long-lived token
	secret    string
}

// newCredential returns the credentials to register: kubeconfig_wo, or a new token of the service account. It also sets an address that was not known in the
// plan.
func (r *infrastructureResource) newCredential(ctx context.Context, model *infrastructureModel, config credentialsModel, diags *diag.Diagnostics) credential {
	if model.Address.IsUnknown() {
		model.Address = r.defaultAddress(model.Cluster, config, diags)
	}
	if model.SecretName.IsUnknown() {
		model.SecretName = model.Name
	}
	model.checkLocation(diags)
	if diags.HasError() {
		return credential{}
	}
	if given := config.KubeconfigWO; !given.IsNull() {
		parsed := parseGiven(given.ValueString(), diags)
		if parsed == nil {
			return credential{}
		}
		model.checkAgainst(parsed, diags)
		raw, err := credentials.Render(*parsed) // in a form that Brane's readers accept
		if err != nil {
			diagnostic.AddError(diags, "Unsupported kubeconfig", "Rendering credentials.kubeconfig_wo", err)
		}
		return credential{raw: raw, parsed: parsed}
	}
	return r.tokenOf(ctx, *model, config, diags)
}

// tokenOf returns a kubeconfig with a new token of the configured service account.
func (r *infrastructureResource) tokenOf(ctx context.Context, model infrastructureModel, config credentialsModel, diags *diag.Diagnostics) credential {
	location, account, lifetime := model.toLocation(), config.ServiceAccount.ValueString(), config.lifetime(diags)
	tried := fmt.Sprintf("Requesting a token of service account %q in namespace %q", account, location.Namespace)
	client, err := r.clients.ConnectKubernetes(ctx, model.Cluster)
	if err != nil {
		diagnostic.AddError(diags, "Failed to request a token", tried, err)
		return credential{}
	}
	issued, granted, err := issueToken(ctx, client, location, account, config.LongLived.ValueBool(), lifetime)
	if err != nil {
		diags.AddAttributeError(path.Root("credentials").AtName("service_account"), "Failed to request a token", diagnostic.ErrorDetail(tried, err))
		return credential{}
	}
	if granted.Shortened() {
		diags.AddAttributeWarning(path.Root("credentials").AtName("lifetime"), "Token lifetime shorter than requested", fmt.Sprintf(
			"%s for %s, the API server granted %s. Apply more often than that, so that the token is renewed before it expires.", tried, attribute.FormatDuration(lifetime), attribute.FormatDuration(granted.Lifetime())))
	}
	return issued
}

// errInsecure reports that the provider's connection has no CA certificate that can be registered.
var errInsecure = errors.New("the provider's connection does not verify the certificate of the API server (insecure), so that there is no CA certificate to register: " +
	"set cluster_ca_certificate in the provider block instead")

// issueToken returns a kubeconfig with a new token, and the token as granted by the API server if it expires.
func issueToken(ctx context.Context, client *kube.Client, location infra.Location, account string, longLived bool, lifetime time.Duration) (credential, credentials.Token, error) {
	if client.IsInsecure() { // the plan has reported it, unless the connection was not known
		return credential{}, credentials.Token{}, errInsecure
	}
	ca, err := client.CA()
	if err != nil {
		return credential{}, credentials.Token{}, err
	}
	made := credential{issued: true}
	var token credentials.Token
	if longLived {
		var stored credentials.LongLived
		stored, err = credentials.CreateLongLivedToken(ctx, client, location.Namespace, account)
		token.Value, made.namespace, made.secret = stored.Value, location.Namespace, stored.Secret
	} else {
		err = client.Retry(ctx, func() (err error) {
			token, err = credentials.RequestToken(ctx, client, location.Namespace, account, lifetime, nil)
			return err
		})
	}
	if err != nil {
		return credential{}, credentials.Token{}, err
	}
	made.parsed = &credentials.Kubeconfig{
		Server: serverURL(location.Address, client.Host()), CA: ca, Token: token.Value, Namespace: location.Namespace, Name: location.Name,
	}
	made.raw, err = credentials.Render(*made.parsed)
	return made, token, err
}

// registeredCredential returns the registered credentials if they are those that the plan keeps.
func registeredCredential(ctx context.Context, store infra.Store, model, state infrastructureModel, diags *diag.Diagnostics) credential {
	tried := fmt.Sprintf("Reading the credentials of location %q from the %s to keep them", model.Name.ValueString(), store)
	raw, err := infra.LookupKubeconfig(ctx, store, state.Name.ValueString(), state.SecretName.ValueString())
	if err != nil {
		diagnostic.AddError(diags, "Failed to update location", tried, err)
		return credential{}
	}
	if model.fingerprintOf(raw) != model.Fingerprint.ValueString() {
		diags.AddError("Failed to update location", tried+": they were replaced since the plan. Run Terraform again; the next plan shows the change.")
		return credential{}
	}
	parsed, err := credentials.Parse(raw)
	if err != nil {
		diagnostic.AddError(diags, "Failed to update location", tried, err)
		return credential{}
	}
	return credential{raw: raw, parsed: parsed}
}

// isUsable reports whether the credentials can be registered: they are valid, and the API server grants them what Brane needs if that is to be verified.
func (r *infrastructureResource) isUsable(ctx context.Context, model *infrastructureModel, credential credential, diags *diag.Diagnostics) bool {
	if diags.HasError() {
		return false
	}
	if !model.VerifyCredentials.ValueBool() {
		return true
	}
	patience := time.Duration(0)
	if credential.issued {
		patience = settling
	}
	name, namespace := model.Name.ValueString(), model.Namespace.ValueString()
	if err := probe(ctx, credential.parsed, namespace, patience, diags); err != nil {
		diagnostic.AddError(diags, "Credentials failed verification", fmt.Sprintf("Verifying the credentials of location %q against %s; nothing was registered", name, credential.parsed.Server), err)
		return false
	}
	r.checkPodSecurity(ctx, model.Cluster, namespace, diags)
	return true
}

// discardCredential revokes a new long-lived token that was not registered.
func (r *infrastructureResource) discardCredential(ctx context.Context, cluster types.String, credential credential, diags *diag.Diagnostics) {
	if credential.secret == "" {
		return
	}
	ctx, done := attribute.WithCleanupLimit(ctx)
	defer done()
	client, err := r.clients.Kubernetes(cluster)
	if err == nil {
		err = credentials.Revoke(ctx, client, credential.namespace, credential.secret)
	}
	if err != nil {
		diagnostic.AddError(diags, "Failed to revoke an unused token", "Deleting the Secret of a new token that could not be registered", err)
	}
}

// inspectCredential parses the registered kubeconfig and returns why it has to be replaced, one message per item.
func (r *infrastructureResource) inspectCredential(ctx context.Context, model *infrastructureModel, raw []byte, imported bool, diags *diag.Diagnostics) (*credentials.Kubeconfig, []string) {
	var found []string
	parsed, err := credentials.Parse(raw)
	for _, problem := range credentials.FieldErrors(err) {
		found = append(found, "Brane cannot use the registered credentials: "+problem.Error())
	}
	if err != nil {
		return nil, found
	}
	for _, problem := range parsed.Unreadable {
		found = append(found, "Brane cannot use the registered credentials: "+problem.Error())
	}
	if imported {
		model.VerifyCredentials = types.BoolValue(true)
		model.adopt(raw, parsed)
	}
	wanted := model.credentials(ctx, diags)
	switch {
	case model.Fingerprint.ValueString() == model.fingerprintOf(raw):
	case model.sameButNewer(wanted, raw, parsed):
		model.setCredential(raw, parsed)
	default:
		found = append(found, "the registered credential was replaced by "+describeReplacement(parsed, wanted))
	}
	found = append(found, r.inspectLifetime(parsed, wanted, diags)...)
	return parsed, append(found, r.verifyRegistered(ctx, model, parsed, wanted, diags)...)
}

// describeReplacement describes a credential that is not the one that was registered.
func describeReplacement(parsed *credentials.Kubeconfig, wanted credentialsModel) string {
	namespace, account, ok := parsed.ServiceAccount()
	if !ok || wanted.ServiceAccount.IsNull() || account == wanted.ServiceAccount.ValueString() {
		return "another one"
	}
	return fmt.Sprintf("the token of another service account, %q in namespace %q", account, namespace)
}

// verifyRegistered returns why the cluster does not accept the registered credentials, or does not allow them what Brane needs.
func (r *infrastructureResource) verifyRegistered(
	ctx context.Context, model *infrastructureModel, parsed *credentials.Kubeconfig, wanted credentialsModel, diags *diag.Diagnostics,
) []string {
	// The objects of a token show why it is not accepted, also where the credentials are not verified. The provider's own connection may lack the permission to
	// read them, or may not be possible, which only matters to what it is needed for.
	if client, err := r.clients.Kubernetes(model.Cluster); err == nil && !wanted.ServiceAccount.IsNull() {
		if problem, err := parsed.InspectToken(ctx, client); err == nil && problem != "" {
			return []string{problem}
		}
	}
	if !model.VerifyCredentials.ValueBool() {
		return nil
	}
	namespace := cmp.Or(parsed.Namespace, model.Namespace.ValueString())
	err := probe(ctx, parsed, namespace, 0, diags)
	switch {
	case errors.Is(err, credentials.ErrUnauthorized), errors.Is(err, credentials.ErrForbidden), errors.Is(err, credentials.ErrTLS):
		return []string{err.Error()}
	case err != nil:
		diags.AddWarning("Could not verify credentials", diagnostic.ErrorDetail(fmt.Sprintf("Verifying the registered credentials of location %q", model.Name.ValueString()), err))
	default:
		r.checkPodSecurity(ctx, model.Cluster, namespace, diags)
	}
	return nil
}

// inspectLifetime reports a credential that must be renewed. A kubeconfig of the user is drift only when it has expired, because the provider cannot renew it.
func (r *infrastructureResource) inspectLifetime(parsed *credentials.Kubeconfig, wanted credentialsModel, diags *diag.Diagnostics) []string {
	now := r.clients.Now()
	_, expires, _ := parsed.Lifetime()
	at := expires.UTC().Format(time.RFC3339)
	switch {
	case !parsed.NeedsRenewal(now, attribute.DurationOrZero(wanted.RenewBefore, diags)):
		return nil
	case !now.Before(expires):
		return []string{"the registered credential expired at " + at}
	case wanted.ServiceAccount.IsNull():
		diags.AddAttributeWarning(path.Root("credentials"), "Credential expires soon", fmt.Sprintf(
			"The registered credential expires at %s; less than a third of its lifetime is left. Set a new kubeconfig_wo and increase kubeconfig_wo_version before then.", at))
		return nil
	default:
		return []string{fmt.Sprintf("the registered token is due for renewal: it expires at %s", at)}
	}
}

// sameButNewer reports whether a kubeconfig differs from that of this resource only in its token: the rotate action or another Terraform process has registered
// it.
func (m infrastructureModel) sameButNewer(wanted credentialsModel, raw []byte, parsed *credentials.Kubeconfig) bool {
	namespace, account, ok := parsed.ServiceAccount()
	if !ok || namespace != m.Namespace.ValueString() || account != wanted.ServiceAccount.ValueString() {
		return false
	}
	if _, expires, _ := parsed.Lifetime(); expires.IsZero() != wanted.LongLived.ValueBool() {
		return false
	}
	ours, err := credentials.Render(credentials.Kubeconfig{
		Server: serverURL(m.Address.ValueString(), parsed.Server), CA: parsed.CA, Token: parsed.Token, Namespace: namespace, Name: m.Name.ValueString(),
	})
	return err == nil && bytes.Equal(ours, raw)
}

// probe verifies credentials and warns if they have more permissions than Brane needs. patience is the time for which new credentials may be rejected.
func probe(ctx context.Context, kubeconfig *credentials.Kubeconfig, namespace string, patience time.Duration, diags *diag.Diagnostics) error {
	client, err := clients.NewKubernetes(kubeconfig.Config())
	if err != nil {
		return err
	}
	report, err := credentials.WaitUntilAccepted(ctx, client, namespace, patience)
	if len(report.Powers) > 0 {
		diags.AddAttributeWarning(path.Root("credentials"), "Registered credentials are over-privileged",
			fmt.Sprintf("The registered credentials are stored in plaintext on the control plane. They can:\n%s\n\nUse a service account that is limited to namespace %q.", diagnostic.BulletList(report.Powers), namespace))
	}
	return err
}

// checkPodSecurity warns if the namespace rejects Brane's Jobs. It ignores a namespace that the credentials of the provider cannot read.
func (r *infrastructureResource) checkPodSecurity(ctx context.Context, cluster types.String, namespace string, diags *diag.Diagnostics) {
	client, err := r.clients.Kubernetes(cluster)
	if err != nil {
		return
	}
	live := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if err := client.Get(ctx, live); err != nil {
		return
	}
	const label = "pod-security.kubernetes.io/enforce"
	if level := live.Labels[label]; level != "" && level != "privileged" {
		diags.AddAttributeWarning(path.Root("namespace"), "Namespace rejects Brane's Jobs", fmt.Sprintf(
			"Namespace %q enforces the Pod Security level %q (label %s). The containers of Brane 0.4 to 0.6 are privileged, so that none of them would start; "+
				"steps of brane_workflow_run do not need privileges. For Brane, set the label to \"privileged\".", namespace, level, label))
	}
}
