package plugin

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// calls is a provider whose calls are forgotten when they have ended. The framework keeps the context of every call until the process ends, and with it all that
// belongs to the call, 11 KB: with hundreds of resources that is more than all else that the provider holds. Only what is called for each resource has a method here.
type calls struct {
	tfprotov6.ProviderServer
	tfprotov6.ListResourceServer
	tfprotov6.ActionServer
}

// forgetting makes calls of a provider; one that lists nothing or has no actions is left as it is.
func forgetting(provider tfprotov6.ProviderServer) tfprotov6.ProviderServer {
	lists, ok := provider.(tfprotov6.ListResourceServer)
	actions, also := provider.(tfprotov6.ActionServer)
	if !ok || !also {
		return provider
	}
	return &calls{provider, lists, actions}
}

func (c *calls) ValidateResourceConfig(ctx context.Context, req *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return forget(ctx, req, c.ProviderServer.ValidateResourceConfig)
}

func (c *calls) UpgradeResourceState(ctx context.Context, req *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	return forget(ctx, req, c.ProviderServer.UpgradeResourceState)
}

func (c *calls) UpgradeResourceIdentity(ctx context.Context, req *tfprotov6.UpgradeResourceIdentityRequest) (*tfprotov6.UpgradeResourceIdentityResponse, error) {
	return forget(ctx, req, c.ProviderServer.UpgradeResourceIdentity)
}

func (c *calls) ReadResource(ctx context.Context, req *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return forget(ctx, req, c.ProviderServer.ReadResource)
}

func (c *calls) PlanResourceChange(ctx context.Context, req *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	return forget(ctx, req, c.ProviderServer.PlanResourceChange)
}

func (c *calls) ApplyResourceChange(ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	return forget(ctx, req, c.ProviderServer.ApplyResourceChange)
}

// forget makes a call with a context that lets go of everything when the call has ended.
func forget[Request, Response any](ctx context.Context, req Request, call func(context.Context, Request) (Response, error)) (Response, error) {
	ctx, letGo := withEnd(ctx)
	defer letGo()
	return call(ctx, req)
}

func withEnd(ctx context.Context) (context.Context, func()) {
	c := &callContext{}
	c.own.Store(&ctx)
	return c, func() { c.own.Store(nil) }
}

// callContext is the context of a call while that goes on, and then one that was cancelled.
type callContext struct {
	own atomic.Pointer[context.Context]
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (c *callContext) Deadline() (deadline time.Time, ok bool) {
	if own := c.own.Load(); own != nil {
		return (*own).Deadline()
	}
	return time.Time{}, false
}

func (c *callContext) Done() <-chan struct{} {
	if own := c.own.Load(); own != nil {
		return (*own).Done()
	}
	return closed
}

func (c *callContext) Err() error {
	if own := c.own.Load(); own != nil {
		return (*own).Err()
	}
	return context.Canceled
}

func (c *callContext) Value(key any) any {
	if own := c.own.Load(); own != nil {
		return (*own).Value(key)
	}
	return nil
}
