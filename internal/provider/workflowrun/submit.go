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
			"If the registered credentials are missing or lack permissions, a refresh and a destroy use the provider's own. Defaults to `registered`." + runsNothing,
		Optional:   true,
		Validators: []validator.String{attribute.OneOf(submitRegistered, submitProvider)},
	}
}

func submitClusterSchema() schema.Attribute {
	return schema.StringAttribute{
		MarkdownDescription: "Name of the cluster of the infrastructure, one of `clusters` in the provider block. Only with `submit_with = \"provider\"`; the registered credentials identify their cluster themselves. " +
			"Defaults to the cluster of the provider's `kubernetes` block." + runsNothing,
		Optional:   true,
		Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
	}
}

// checkSubmit reports attributes that conflict with submit_with.
func (m workflowRunModel) checkSubmit(diags *diag.Diagnostics) {
	if m.SubmitWith.IsUnknown() {
		return
	}
	byProvider := m.SubmitWith.ValueString() == submitProvider
	if !byProvider && !m.Cluster.IsNull() {
		diags.AddAttributeError(path.Root("cluster"), "Conflicting cluster",
			"The Jobs are submitted with the credentials that are registered for the infrastructure, which identify the cluster. Remove cluster, or set submit_with = \"provider\".")
	}
	if byProvider && !m.waitsForEnd() {
		diags.AddAttributeError(path.Root("submit_with"), "Unsupported submit_with",
			"With wait = false a pod runs the workflow with the service account that is registered for the infrastructure. Remove submit_with, or set wait = true.")
	}
}

// checkRetention reports a retention that ends before the run may end: the deadline of its files is set when the run starts.
func (m workflowRunModel) checkRetention(ctx context.Context, diags *diag.Diagnostics) {
	if m.Retention.IsNull() || m.Retention.IsUnknown() || m.Timeouts.IsUnknown() || !m.waitsForEnd() {
		return
	}
	limit, problems := m.Timeouts.Create(ctx, runTimeout)
	retention := attribute.DurationOrZero(m.Retention, &problems)
	if problems.HasError() || retention >= limit { // other checks report values that cannot be parsed
		return
	}
	diags.AddAttributeError(path.Root("retention"), "Invalid retention", fmt.Sprintf(
		"retention is %s, but the run may take %s (timeouts.create): its files would be deleted while it runs. Set retention to at least timeouts.create.",
		attribute.FormatDuration(retention), attribute.FormatDuration(limit)))
}

// warnExpiringToken warns if the registered token may expire during the run, and the provider block has no credentials to request another one. An engine has a
// token that the kubelet renews.
func (r *runner) warnExpiringToken(ctx context.Context, plan workflowRunModel, diags *diag.Diagnostics) {
	name := plan.Infrastructure
	if r.clients == nil || name.IsUnknown() || plan.SubmitWith.IsUnknown() || plan.SubmitWith.ValueString() == submitProvider || plan.Timeouts.IsUnknown() || !plan.waitsForEnd() {
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
	limit, problems := plan.Timeouts.Create(ctx, runTimeout)
	_, expires, hasClaims := kubeconfig.Lifetime()
	if problems.HasError() || !hasClaims || expires.IsZero() || !r.clients.Now().Add(limit).After(expires) {
		return
	}
	diags.AddAttributeWarning(path.Root("infrastructure"), "Token may expire during the run", fmt.Sprintf(
		"The token that is registered for infrastructure %q expires at %s, but the run may take %s (timeouts.create). When it has expired, steps continue to run, but no others start until "+
			"another token is registered. Set credentials.lifetime and credentials.renew_before of the brane_infrastructure to more than that, "+
			"or add its cluster to the provider block, so that the provider can request another token.",
		name.ValueString(), expires.UTC().Format(time.RFC3339), attribute.FormatDuration(limit)))
}

// findTarget returns the location of the run's Jobs and the client to create them with.
func (r *runner) findTarget(ctx context.Context, model *workflowRunModel) (*clients.Infrastructure, error) {
	name := model.Infrastructure.ValueString()
	if model.SubmitWith.ValueString() != submitProvider {
		return r.clients.ConnectInfrastructure(ctx, name)
	}
	registration, err := r.clients.ReadRegistration(ctx, name)
	if err != nil {
		return nil, err
	}
	client, err := r.clients.Kubernetes(model.Cluster)
	return &clients.Infrastructure{Location: registration.Location, Kube: client}, err
}

// inCluster calls do with the credentials that created the objects of a run. If these are no longer registered or lack permissions,
// it calls do with the provider's own: Terraform destroys the run before it repairs the resources that the run depends on.
func (r *runner) inCluster(ctx context.Context, model *workflowRunModel, do func(*kube.Client) error) error {
	target, err := r.findTarget(ctx, model)
	if err == nil {
		err = do(target.Kube)
	}
	if !isCredentialError(err) {
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
