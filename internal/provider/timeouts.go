package provider

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

// readTimeout bounds a refresh where `timeouts` does not: a page of a list takes a server seconds, and a server that is away should not hold up a plan.
const readTimeout = 2 * time.Minute

// timeoutsAttribute bounds the operations; limit is what holds for each that is not set.
func timeoutsAttribute(ctx context.Context, limit time.Duration) schema.Attribute {
	each := fmt.Sprintf("For example `30m`. Defaults to `%s`.", formatDuration(limit))
	attribute := timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, Read: true, Update: true, Delete: true, CreateDescription: each, UpdateDescription: each, DeleteDescription: each,
		ReadDescription: fmt.Sprintf("Limits the refresh before a plan, for example `30s`. Defaults to `%s`.", formatDuration(readTimeout)),
	})
	if nested, ok := attribute.(schema.SingleNestedAttribute); ok {
		nested.MarkdownDescription = "Time limits of the operations."
		return nested
	}
	return attribute
}

// noTimeouts are those of a resource that is listed, of which no configuration tells any.
func noTimeouts(req list.ListRequest) timeouts.Value {
	of, ok := req.ResourceSchema.GetAttributes()["timeouts"].GetType().(timeouts.Type)
	if !ok {
		return timeouts.Value{}
	}
	return timeouts.Value{Object: types.ObjectNull(of.AttrTypes)}
}

// operated is the model of a resource: it knows its `timeouts`, and what holds for an operation that they do not name.
type operated interface {
	limits() (timeouts.Value, time.Duration)
}

// begin starts an operation of a resource: it reads the model from a plan or a state, and bounds the operation by the model's `timeouts`.
func begin(ctx context.Context, operation string, from interface {
	Get(ctx context.Context, into any) diag.Diagnostics
}, model operated, diags *diag.Diagnostics,
) (context.Context, context.CancelFunc) {
	diags.Append(from.Get(ctx, model)...)
	set, limit := model.limits()
	var problems diag.Diagnostics
	switch operation {
	case "create":
		limit, problems = set.Create(ctx, limit)
	case "read":
		limit, problems = set.Read(ctx, readTimeout)
	case "update":
		limit, problems = set.Update(ctx, limit)
	case "delete":
		limit, problems = set.Delete(ctx, limit)
	}
	diags.Append(problems...)
	return withTimeout(ctx, operation, limit)
}

// withTimeout bounds an operation; the error of what exceeds the limit names the entry of `timeouts` to raise.
func withTimeout(ctx context.Context, operation string, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not finished after %s (timeouts.%s)", formatDuration(limit), operation))
}

// within bounds what has no `timeouts`.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("not finished after %s", formatDuration(limit)))
}

// afterwards is for what must still be done when the operation's time has run out or the user has pressed Ctrl-C.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}
