package workflowrun

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/detached"
	runrecord "github.com/braneframework/terraform-provider-brane/internal/brane/workflow/record"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// Runs that are not in the state, for an import, the data source and the list: what the last apply has stored, completed by the record in the cluster and by
// what Redis has of later executions. Nothing is changed.

// findLimit limits how long a run, or its place, is looked for.
const findLimit = 2 * time.Minute

// place is where a run is looked for.
type place struct {
	Infrastructure types.String // null if the run has none, or if it is not known whether it has one
	Namespace      types.String // null means that with which the run was applied
	Cluster        types.String // likewise, together with the namespace; with an infrastructure, null alone means that
}

// String describes the place in messages.
func (p place) String() string {
	switch {
	case !p.Infrastructure.IsNull():
		return fmt.Sprintf("on infrastructure %q", p.Infrastructure.ValueString())
	case p.Namespace.IsNull():
		return "where it was applied"
	case p.Cluster.IsNull():
		return fmt.Sprintf("in namespace %q", p.Namespace.ValueString())
	}
	return fmt.Sprintf("in namespace %q of cluster %q", p.Namespace.ValueString(), p.Cluster.ValueString())
}

// notFoundError is that there is no run, or that it is elsewhere.
type notFoundError struct{ problem, remedy string }

func (e *notFoundError) Error() string { return e.problem }

// Remedy implements the interface of package diagnostic.
func (e *notFoundError) Remedy() string { return e.remedy }

// findID returns the id of a run with this name, and completes the place with the namespace of its infrastructure.
func (r *runner) findID(ctx context.Context, name string, at *place) (string, error) {
	ctx, done := attribute.WithLimit(ctx, findLimit)
	defer done()
	if !at.Infrastructure.IsNull() {
		registration, err := r.clients.ReadRegistration(ctx, at.Infrastructure.ValueString())
		if err != nil {
			return "", err
		}
		at.Namespace = types.StringValue(registration.Location.Namespace)
		return workflow.RunID(name, clients.NewInfrastructure(registration, nil).Server, registration.Location.Namespace), nil
	}
	client, err := r.clients.Kubernetes(at.Cluster)
	if err != nil {
		return "", err
	}
	return workflow.RunID(name, kube.NormalizeServer(client.Host()), at.Namespace.ValueString()), nil
}

// findRun returns the state of a run.
func (r *runner) findRun(ctx context.Context, id string, at place, diags *diag.Diagnostics) (model workflowRunModel, err error) {
	ctx, done := attribute.WithLimit(ctx, findLimit)
	defer done()
	if model, err = r.readStored(ctx, id, diags); err != nil {
		return model, err
	}
	if err := model.moveTo(at); err != nil {
		return model, err
	}
	reached := model
	if !at.Cluster.IsNull() { // also if the registered credentials are missing
		reached.Cluster = at.Cluster
	}
	found, execution, err := r.readRecord(ctx, &reached)
	if err != nil {
		return model, err
	}
	// If the execution is that of the last apply, and it was not delegated, the stored state has how it ended.
	if execution != model.ExecutionID.ValueString() || model.Status.ValueString() == string(workflow.RunRunning) {
		model.ExecutionID = types.StringValue(execution)
		return model, r.readExecution(ctx, &model, found, diags)
	}
	return model, r.readKept(ctx, &model, files.Layer(model.OutputsDigest.ValueString()), diags)
}

// readStored reads what the last apply has stored of a run.
func (r *runner) readStored(ctx context.Context, id string, diags *diag.Diagnostics) (model workflowRunModel, err error) {
	store, err := r.openFiles(ctx, id, diags)
	if err != nil {
		return model, err
	}
	text, err := store.Configuration(ctx)
	if err != nil {
		return model, err
	}
	if text == nil {
		return model, &notFoundError{
			fmt.Sprintf("Redis has no configuration of run %q (key brane:%s:configuration)", id, id),
			"Check that name and place of the run are correct, that its cluster has the same address as when it was applied, and that redis.url of the provider block is the same. " +
				"If the run was destroyed, apply its configuration to run it again. A run of an action has no stored configuration.",
		}
	}
	if model, err = decodeRun(ctx, text); err != nil {
		return model, fmt.Errorf("decode the configuration of run %q in Redis: %w", id, err)
	}
	return model, nil
}

// openFiles opens the files of a run.
func (r *runner) openFiles(ctx context.Context, id string, diags *diag.Diagnostics) (*files.Store, error) {
	redis, warnings, err := r.clients.RedisClient(ctx)
	if err != nil {
		return nil, err
	}
	diagnostic.AddRedisWarnings(diags, warnings)
	return results.OpenFiles(redis, id)
}

// moveTo checks that a run is at a place, and sets the cluster to that of this provider block, in which it may have another name. A run that is submitted with
// registered credentials has none.
func (m *workflowRunModel) moveTo(at place) error {
	if at.Namespace.IsNull() {
		return nil
	}
	own := place{Infrastructure: m.Infrastructure, Namespace: m.Namespace, Cluster: m.Cluster}
	if !m.Namespace.Equal(at.Namespace) || !at.Infrastructure.IsNull() && !at.Infrastructure.Equal(m.Infrastructure) {
		return &notFoundError{fmt.Sprintf("run %q is %s", m.ID.ValueString(), own), "Correct the place or the name of the run."}
	}
	if !m.hasInfrastructure() || m.isSubmittedByProvider() && !at.Cluster.IsNull() {
		m.Cluster = at.Cluster
	}
	return nil
}

// readRecord reads the record of a run: its status, and the execution that owns it.
func (r *runner) readRecord(ctx context.Context, model *workflowRunModel) (found detached.Status, execution string, err error) {
	ref := workflow.Ref{ID: model.ID.ValueString(), Namespace: model.Namespace.ValueString()}
	host := ""
	err = r.inCluster(ctx, model, func(client *kube.Client) error {
		host = client.Host()
		record, err := runrecord.Read(ctx, client, ref)
		if err != nil {
			return err
		}
		execution = record.Execution()
		found, err = detached.ReadStatus(ctx, client, ref)
		return err
	})
	var none *clients.NoClusterError
	switch {
	case apierrors.IsNotFound(err):
		return found, "", &notFoundError{
			fmt.Sprintf("the cluster at %s does not have the record of run %q, %s", host, ref.ID, runrecord.Describe(ref)),
			"Redis still has its configuration. If the run is in another cluster, name that. If its record or its namespace was deleted, apply its configuration to run it again.",
		}
	case errors.As(err, &none):
		return found, "", fmt.Errorf("connect to the cluster of run %q: %w", ref.ID, err)
	}
	return found, execution, err
}

// readExecution sets the results and the outputs of an execution that has not ended, or whose end no apply has stored.
func (r *runner) readExecution(ctx context.Context, model *workflowRunModel, found detached.Status, diags *diag.Diagnostics) error {
	env := environment{packageVersion: r.clients.PackageVersion()}
	graph := model.graph(ctx, env, diags)
	var store *results.Store
	for range 2 { // the second time with the configurations of the steps, which depend on the fingerprints of their results
		var err error
		if store, err = r.openResults(ctx, model, graph); err != nil {
			return err
		}
		if len(found.Steps) == 0 && found.Status == workflow.RunSucceeded {
			found.Result, err = store.Load(ctx)
		} else {
			err = store.Refresh(ctx, &found.Result)
		}
		if err != nil {
			return err
		}
		model.setResult(ctx, found.Status, found.Result, diags)
		graph = model.storedGraph(ctx, env, diags)
	}
	model.ReportWrittenAt = types.StringNull()
	paths := model.outputPaths(ctx, diags)
	outputs := emptyOutputs(paths)
	switch {
	case found.Outputs != "":
		return r.readKept(ctx, model, found.Outputs, diags)
	case found.Status == workflow.RunSucceeded && len(paths) > 0: // the apply was killed before it kept them
		peeked, err := store.PeekOutputs(ctx, found.Result, slices.Sorted(maps.Values(paths)), contentLimit)
		if err != nil {
			return err
		}
		outputs = newOutputModels(peeked, paths)
	}
	model.setOutputs(ctx, "", outputs, diags)
	return nil
}

// readKept sets the outputs to those that are kept in Redis.
func (r *runner) readKept(ctx context.Context, model *workflowRunModel, layer files.Layer, diags *diag.Diagnostics) error {
	if layer == "" {
		return nil // the stored outputs have no values
	}
	store, err := r.openResults(ctx, model, model.storedGraph(ctx, environment{packageVersion: r.clients.PackageVersion()}, diags))
	if err != nil {
		return err
	}
	outputs, err := readOutputs(ctx, store, layer, model.outputPaths(ctx, diags))
	if err != nil {
		return err
	}
	model.setOutputs(ctx, layer, outputs, diags)
	return nil
}

// openResults opens the results of a run.
func (r *runner) openResults(ctx context.Context, model *workflowRunModel, graph workflow.Graph) (*results.Store, error) {
	redis, _, err := r.clients.RedisClient(ctx)
	if err != nil {
		return nil, err
	}
	return results.Open(redis, model.ID.ValueString(), graph)
}

// reportNotRead reports why a run could not be read.
func reportNotRead(diags *diag.Diagnostics, tried string, err error) {
	var missing *notFoundError
	switch {
	case errors.Is(err, files.ErrGone):
		diags.AddError("Results of run expired", diagnostic.ErrorDetail(tried, err)+"\n\nFiles and results other than outputs are only kept for the time set with `retention`. "+
			"If nothing manages the run, apply its configuration: steps whose results are gone run again.")
	case errors.As(err, &missing):
		diagnostic.AddError(diags, "Run not found", tried, err)
	default:
		diagnostic.AddError(diags, "Failed to read run", tried, err)
	}
}
