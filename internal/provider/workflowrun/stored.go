package workflowrun

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// An apply stores the state of its run in Redis when the run starts and when it has ended, so that it can be imported and read by other configurations: neither
// the cluster nor the files of a run have its configuration.

// storedVersion is the version of the format. A provider reads documents of this version, also those of earlier releases: an attribute that they do not have is
// null.
const storedVersion = 1

// storedRun is the document in Redis.
type storedRun struct {
	Version    int             `json:"v"`
	Provider   string          `json:"provider"`   // the version of the provider that has written it
	Attributes json.RawMessage `json:"attributes"` // as in a state
}

// encodeStarted returns the document of a run that starts.
func (r *runner) encodeStarted(ctx context.Context, model workflowRunModel, diags *diag.Diagnostics) (text []byte, ok bool) {
	model.setRunning(ctx, workflow.RunRunning, diags)
	text, err := model.encode(ctx, r.clients.Version)
	if err != nil {
		diagnostic.AddError(diags, "Failed to prepare run", fmt.Sprintf("Encoding the configuration of run %q", model.ID.ValueString()), err)
	}
	return text, err == nil
}

// storeRun stores the run after an apply. That it fails is a warning, because an error would make Terraform replace the run.
func (r *runner) storeRun(ctx context.Context, model workflowRunModel, diags *diag.Diagnostics) {
	id := model.ID.ValueString()
	ctx, done := attribute.WithCleanupLimit(ctx) // also after Ctrl-C
	defer done()
	redis, _, err := r.clients.RedisClient(ctx)
	var store *files.Store
	if err == nil {
		store, err = results.OpenFiles(redis, id)
	}
	var text []byte
	if err == nil {
		text, err = model.encode(ctx, r.clients.Version)
	}
	if err == nil {
		err = store.SetConfiguration(ctx, text)
	}
	if err != nil {
		diags.AddWarning("Failed to store configuration of run", diagnostic.ErrorDetail(fmt.Sprintf("Storing the configuration of run %q in Redis", id), err)+
			"\n\nThe run itself is not affected. When retention has passed, it cannot be imported or read by other configurations, unless a later apply has stored it.")
	}
}

// encode returns the document of a run, without what is read from Redis again and without secrets.
func (m workflowRunModel) encode(ctx context.Context, provider string) ([]byte, error) {
	var diags diag.Diagnostics
	if !m.Outputs.IsNull() {
		m.setOutputs(ctx, files.Layer(m.OutputsDigest.ValueString()), emptyOutputs(m.outputPaths(ctx, &diags)), &diags)
	}
	m.SecretEnvWO = types.MapNull(m.SecretEnvWO.ElementType(ctx)) // no plan has it
	m.Drift = attribute.EmptyDrift()
	state := tfsdk.State{Schema: resourceSchema(ctx)}
	state.Raw = tftypes.NewValue(state.Schema.Type().TerraformType(ctx), nil)
	diags.Append(state.Set(ctx, m)...)
	if err := toError(diags); err != nil {
		return nil, err
	}
	attributes, err := encodeValue(state.Raw)
	if err != nil {
		return nil, err
	}
	return json.Marshal(storedRun{storedVersion, provider, attributes})
}

// decodeRun returns the run in a document.
func decodeRun(ctx context.Context, text []byte) (model workflowRunModel, err error) {
	var document storedRun
	if err := json.Unmarshal(text, &document); err != nil {
		return model, err
	}
	if document.Version != storedVersion {
		return model, &otherProviderError{document.Provider, fmt.Errorf("it has version %d of the format; this provider reads version %d", document.Version, storedVersion)}
	}
	state := tfsdk.State{Schema: resourceSchema(ctx)}
	raw := tfprotov6.RawState{JSON: document.Attributes}
	if state.Raw, err = raw.Unmarshal(state.Schema.Type().TerraformType(ctx)); err != nil {
		return model, &otherProviderError{document.Provider, err}
	}
	return model, toError(state.Get(ctx, &model))
}

// otherProviderError is that a document was written by a provider that has other attributes, or another format.
type otherProviderError struct {
	version string
	err     error
}

func (e *otherProviderError) Error() string {
	return fmt.Sprintf("version %q of the provider has written it: %s", e.version, e.err)
}

func (e *otherProviderError) Unwrap() error { return e.err }

// Remedy implements the interface of package diagnostic.
func (e *otherProviderError) Remedy() string {
	return fmt.Sprintf("Use version %q of the provider, or a later one.", e.version)
}

// toError returns the errors among diagnostics; nil if there are none.
func toError(diags diag.Diagnostics) error {
	var found []error
	for _, d := range diags.Errors() {
		found = append(found, fmt.Errorf("%s: %s", d.Summary(), d.Detail()))
	}
	return errors.Join(found...)
}

// encodeValue encodes a known value as JSON, from which its type can decode it.
func encodeValue(value tftypes.Value) (json.RawMessage, error) {
	if value.IsNull() {
		return json.RawMessage("null"), nil
	}
	typ := value.Type()
	switch {
	case typ.Is(tftypes.Object{}), typ.Is(tftypes.Map{}):
		var fields map[string]tftypes.Value
		if err := value.As(&fields); err != nil {
			return nil, err
		}
		encoded := map[string]json.RawMessage{}
		for name, field := range fields {
			if field.IsNull() && typ.Is(tftypes.Object{}) {
				continue
			}
			var err error
			if encoded[name], err = encodeValue(field); err != nil {
				return nil, err
			}
		}
		return json.Marshal(encoded)
	case typ.Is(tftypes.List{}), typ.Is(tftypes.Set{}):
		var elements []tftypes.Value
		if err := value.As(&elements); err != nil {
			return nil, err
		}
		encoded := make([]json.RawMessage, len(elements))
		for i, element := range elements {
			var err error
			if encoded[i], err = encodeValue(element); err != nil {
				return nil, err
			}
		}
		return json.Marshal(encoded)
	case typ.Is(tftypes.Number):
		var number *big.Float
		if err := value.As(&number); err != nil {
			return nil, err
		}
		return json.RawMessage(number.Text('g', -1)), nil
	case typ.Is(tftypes.Bool):
		return encodePrimitive[bool](value)
	}
	return encodePrimitive[string](value)
}

func encodePrimitive[T bool | string](value tftypes.Value) (json.RawMessage, error) {
	var primitive T
	if err := value.As(&primitive); err != nil {
		return nil, err
	}
	return json.Marshal(primitive)
}
