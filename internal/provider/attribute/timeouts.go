package attribute

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// readTimeout is the default limit of a refresh: longer than a page of a list takes, and short enough that an unavailable server does not block a plan.
const readTimeout = 2 * time.Minute

// NewTimeouts returns the attribute that limits the operations. limit is the default of create, update and delete.
func NewTimeouts(ctx context.Context, limit time.Duration) schema.Attribute {
	each := fmt.Sprintf("For example `30m`. Defaults to `%s`.", FormatDuration(limit))
	attribute := timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, Read: true, Update: true, Delete: true, CreateDescription: each, DeleteDescription: each,
		UpdateDescription: "For example `30m`. Defaults to the limit of `create`.",
		ReadDescription:   fmt.Sprintf("Limits the refresh before a plan, for example `30s`. Defaults to `%s`.", FormatDuration(readTimeout)),
	})
	nested, ok := attribute.(schema.SingleNestedAttribute)
	if !ok {
		return attribute
	}
	nested.MarkdownDescription = "Time limits of the operations."
	for operation, limited := range nested.Attributes {
		if text, ok := limited.(schema.StringAttribute); ok { // the library accepts limits that are zero or negative
			text.Validators = append(text.Validators, DurationAtLeast(time.Second, "a second"))
			nested.Attributes[operation] = text
		}
	}
	return nested
}

// NullTimeouts returns the timeouts of a listed resource, which has no configuration.
func NullTimeouts(req list.ListRequest) timeouts.Value {
	of, ok := req.ResourceSchema.GetAttributes()["timeouts"].GetType().(timeouts.Type)
	if !ok {
		return timeouts.Value{}
	}
	return timeouts.Value{Object: types.ObjectNull(of.AttrTypes)}
}

// TimedModel is the model of a resource with its `timeouts` and their default.
type TimedModel interface {
	TimeoutLimits() (timeouts.Value, time.Duration)
}

// StartOperation starts an operation of a resource: it reads the model from a plan or a state, and bounds the operation by the model's `timeouts`.
// If the model cannot be read, there is an error, and the operation must not continue.
func StartOperation(ctx context.Context, operation string, from Decodable, model TimedModel, diags *diag.Diagnostics) (context.Context, context.CancelFunc) {
	if !Decode(ctx, from, model, diags) {
		return context.WithCancel(ctx)
	}
	set, limit := model.TimeoutLimits()
	var problems diag.Diagnostics
	switch operation {
	case "create":
		limit, problems = set.Create(ctx, limit)
	case "read":
		limit, problems = set.Read(ctx, readTimeout)
	case "update":
		if limit, problems = set.Create(ctx, limit); !problems.HasError() {
			limit, problems = set.Update(ctx, limit)
		}
	case "delete":
		limit, problems = set.Delete(ctx, limit)
	}
	diags.Append(problems...)
	return WithTimeout(ctx, operation, limit)
}

// LimitError reports that an operation has exceeded its entry of `timeouts`.
type LimitError struct {
	Limit     time.Duration
	Operation string // the entry
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("not finished after %s (timeouts.%s)", FormatDuration(e.Limit), e.Operation)
}

// WithTimeout bounds an operation; the error of what exceeds the limit is a [LimitError].
func WithTimeout(ctx context.Context, operation string, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, &LimitError{limit, operation})
}

// WithLimit limits an operation without `timeouts`.
func WithLimit(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not finished after %s", FormatDuration(limit)))
}

// WithCleanupLimit returns a context for cleanup after an operation has timed out or was interrupted.
func WithCleanupLimit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}
