package workflowrun

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// The values of submit_with.
const (
	submitRegistered = "registered"
	submitProvider   = "provider"
)

func submitWithSchema() schema.Attribute {
	return schema.StringAttribute{
		MarkdownDescription: "Credentials to submit the Jobs with. `registered` uses those of the infrastructure, at the registered API server address, as Brane itself does. `provider` uses the provider's own, " +
			"for an infrastructure whose address cannot be reached from the machine that runs Terraform. " +
			"If the API server rejects the registered token during a run, because it has expired or was revoked, running steps continue, and the run continues with the token that is registered by then, or with one that the provider requests if its own account may. " +
			"If the registered credentials are missing or lack permissions, a refresh and a destroy use the provider's own. " +
			"Conflicts with `namespace`, where the provider's own are always used. Defaults to `registered`." + runsNothing,
		Optional:   true,
		Validators: []validator.String{attribute.OneOf(submitRegistered, submitProvider)},
	}
}

const clusterDescription = attribute.ClusterDescription +
	" Only with `namespace`, or with `submit_with = \"provider\"`, as the cluster of the infrastructure; registered credentials identify their cluster themselves."

func submitClusterSchema() schema.Attribute {
	return schema.StringAttribute{
		MarkdownDescription: clusterDescription + " With `namespace`, changing this replaces the run.",
		Optional:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
	}
}

// infrastructureSchema returns the attribute that selects where the run is, unless that is namespace.
func infrastructureSchema() schema.Attribute {
	return schema.StringAttribute{
		MarkdownDescription: "Name of the `brane_infrastructure` to run on. Exactly one of `infrastructure` and `namespace` must be set." + replacesRun,
		Optional:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.ExactlyOneOf(path.MatchRoot("infrastructure"), path.MatchRoot("namespace"))},
	}
}

const namespaceDescription = "Namespace to run in without an infrastructure: that of a `brane_namespace`, or any other that exists. The provider's own account submits the Jobs, nothing is registered, and " +
	"the provider block needs no `control_plane`. Exactly one of `infrastructure` and `namespace` must be set."

func namespaceSchema() schema.Attribute {
	return schema.StringAttribute{
		MarkdownDescription: namespaceDescription + " With `infrastructure`, this is the namespace of the infrastructure." + replacesRun,
		Optional:            true,
		Computed:            true,
		Validators:          []validator.String{attribute.DNSLabel()},
	}
}

// checkSubmit reports attributes of the configuration that conflict with how its Jobs are submitted.
func (m workflowRunModel) checkSubmit(diags *diag.Diagnostics) {
	switch {
	case m.SubmitWith.IsUnknown(), m.Infrastructure.IsUnknown() && !m.Namespace.IsNull():
		return
	case !m.hasInfrastructure() && !m.SubmitWith.IsNull():
		diags.AddAttributeError(path.Root("submit_with"), "Conflicting submit_with",
			"A run with namespace instead of infrastructure has no registered credentials: its Jobs are submitted with the provider's own. Remove submit_with.")
	case !m.isSubmittedByProvider() && !m.Cluster.IsNull():
		diags.AddAttributeError(path.Root("cluster"), "Conflicting cluster",
			"The Jobs are submitted with the credentials that are registered for the infrastructure, which identify the cluster. Remove cluster, or set submit_with = \"provider\".")
	}
}

// checkRetention reports a retention that ends before the run may end: the deadline of its files is set when the run starts.
func (m workflowRunModel) checkRetention(ctx context.Context, diags *diag.Diagnostics) {
	if m.Retention.IsNull() || m.Retention.IsUnknown() || m.Timeouts.IsUnknown() || !m.waitsForEnd() {
		return
	}
	create, problems := m.Timeouts.Create(ctx, runTimeout)
	update, found := m.Timeouts.Update(ctx, create)
	problems.Append(found...)
	retention := attribute.DurationOrZero(m.Retention, &problems)
	limit, name := create, "timeouts.create"
	if update > create {
		limit, name = update, "timeouts.update"
	}
	if problems.HasError() || retention >= limit { // other checks report values that cannot be parsed
		return
	}
	diags.AddAttributeError(path.Root("retention"), "Invalid retention", fmt.Sprintf(
		"retention is %s, but the run may take %s (%[3]s): its files would be deleted while it runs. Set retention to at least %[3]s.",
		attribute.FormatDuration(retention), attribute.FormatDuration(limit), name))
}

// warnExpiringToken warns if the registered token may expire during the run, and the provider block has no credentials to request another one. An engine has a
// token that the kubelet renews.
func (r *runner) warnExpiringToken(ctx context.Context, plan workflowRunModel, diags *diag.Diagnostics) {
	name := plan.Infrastructure
	if r.clients == nil || name.IsUnknown() || plan.SubmitWith.IsUnknown() || plan.Timeouts.IsUnknown() || !plan.waitsForEnd() {
		return
	}
	if plan.isSubmittedByProvider() {
		r.warnExpiringOwnToken(ctx, plan, diags)
		return
	}
	registration, err := r.clients.ReadRegistration(ctx, name.ValueString())
	if err != nil {
		return // it may be registered in the same apply, which reports the error otherwise
	}
	kubeconfig, err := credentials.Parse(registration.Kubeconfig)
	if err != nil || r.clients.KubernetesAt(kubeconfig.Server) != nil {
		return
	}
	_, expires, hasClaims := kubeconfig.Lifetime()
	limit, mayExpire := r.mayExpireDuring(ctx, plan, expires)
	if !hasClaims || !mayExpire {
		return
	}
	diags.AddAttributeWarning(path.Root("infrastructure"), "Token may expire during the run", fmt.Sprintf(
		"The token that is registered for infrastructure %q expires at %s, but the run may take %s (timeouts.create). When it has expired, steps continue to run, but no others start until "+
			"another token is registered. Set credentials.lifetime and credentials.renew_before of the brane_infrastructure to more than that, "+
			"or add its cluster to the provider block, so that the provider can request another token.",
		name.ValueString(), expires.UTC().Format(time.RFC3339), attribute.FormatDuration(limit)))
}

// warnExpiringOwnToken warns if the token in the provider block, or in its kubeconfig, may expire during the run. Tokens from a file and from an exec plugin are
// read again before they expire.
func (r *runner) warnExpiringOwnToken(ctx context.Context, plan workflowRunModel, diags *diag.Diagnostics) {
	client, err := r.clients.Kubernetes(plan.Cluster)
	if err != nil {
		return // the cluster is not known yet, or the plan reports it
	}
	_, expires, hasClaims := credentials.Expiry(client.StaticToken())
	limit, mayExpire := r.mayExpireDuring(ctx, plan, expires)
	if !hasClaims || !mayExpire {
		return
	}
	diags.AddWarning("Token may expire during the run", fmt.Sprintf(
		"The token with which the provider connects to %s expires at %s, but the run may take %s (timeouts.create). When it has expired, steps continue to run, but no others start. "+
			"Use a token that is valid for longer, or an exec plugin, which the provider runs again, or set wait = false.",
		client.Host(), expires.UTC().Format(time.RFC3339), attribute.FormatDuration(limit)))
}

// mayExpireDuring reports whether a token that expires at this time may expire during the run, and returns how long the run may take. The zero time is that of a
// token that does not expire.
func (r *runner) mayExpireDuring(ctx context.Context, plan workflowRunModel, expires time.Time) (limit time.Duration, mayExpire bool) {
	limit, problems := plan.Timeouts.Create(ctx, runTimeout)
	return limit, !problems.HasError() && !expires.IsZero() && r.clients.Now().Add(limit).After(expires)
}

// findTarget returns the location of the run's Jobs and the client to create them with.
func (r *runner) findTarget(ctx context.Context, model *workflowRunModel) (*clients.Infrastructure, error) {
	if !model.hasInfrastructure() {
		client, err := r.clients.Kubernetes(model.Cluster)
		// Packages get the name of the location in a variable.
		return &clients.Infrastructure{Location: infra.Location{Name: model.Namespace.ValueString(), Namespace: model.Namespace.ValueString()}, Kube: client}, err
	}
	name := model.Infrastructure.ValueString()
	if model.SubmitWith.ValueString() != submitProvider {
		return r.clients.ConnectInfrastructure(ctx, name)
	}
	registration, err := r.clients.ReadRegistration(ctx, name)
	if err != nil {
		return nil, err
	}
	client, err := r.clients.Kubernetes(model.Cluster)
	return clients.NewInfrastructure(registration, client), err
}

// reportNoTarget reports why it is not known where the run is.
func (m workflowRunModel) reportNoTarget(diags *diag.Diagnostics, err error) {
	if !m.hasInfrastructure() {
		diagnostic.AddError(diags, "Failed to connect to the cluster", fmt.Sprintf("Connecting to run %q in namespace %q", m.Name.ValueString(), m.Namespace.ValueString()), err)
		return
	}
	diags.AddAttributeError(path.Root("infrastructure"), "Failed to use infrastructure", diagnostic.ErrorDetail(
		fmt.Sprintf("Looking up infrastructure %q to run %q on it", m.Infrastructure.ValueString(), m.Name.ValueString()), err))
}

// findNodesClient returns a client with permission to list the nodes, which registered credentials do not have; nil if there may be none.
func (r *runner) findNodesClient(model *workflowRunModel, submitting *kube.Client) *kube.Client {
	if model.isSubmittedByProvider() {
		return submitting
	}
	return r.clients.KubernetesAt(submitting.Host())
}

// inCluster calls do with the credentials that created the objects of a run. If these were registered, and are missing or lack permissions,
// it calls do with the provider's own: Terraform destroys the run before it repairs the resources that the run depends on.
func (r *runner) inCluster(ctx context.Context, model *workflowRunModel, do func(*kube.Client) error) error {
	target, err := r.findTarget(ctx, model)
	if err == nil {
		err = do(target.Kube)
	}
	if !model.hasInfrastructure() || !isCredentialError(err) {
		return err
	}
	own, ownErr := r.clients.Kubernetes(model.Cluster)
	if ownErr == nil {
		ownErr = do(own)
	}
	if ownErr != nil {
		return fmt.Errorf("%w; and with the provider's own credentials: %w", err, ownErr)
	}
	return nil
}

// isCredentialError reports whether registered credentials are missing, invalid, without permissions, or for a cluster that was recreated.
func isCredentialError(err error) bool {
	var encoding *infra.EncodingError
	var field *credentials.FieldError
	var certificate *tls.CertificateVerificationError
	return errors.Is(err, infra.ErrNoLocation) || errors.Is(err, infra.ErrNoSecret) || errors.As(err, &encoding) || errors.As(err, &field) ||
		errors.As(err, &certificate) || apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err)
}
