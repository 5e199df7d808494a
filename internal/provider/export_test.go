package provider

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/provider"
)

// NewAt makes a provider that lives at another time, for what happens when a credential grows old.
func NewAt(now func() time.Time) func() provider.Provider {
	return func() provider.Provider { return &braneProvider{version: "test", now: now} }
}

// NewProgress is what a file that is saved is written through; told is when the log heard of it last.
func NewProgress(ctx context.Context, to io.Writer, name string, size int64, told time.Time) io.Writer {
	return &progress{ctx: ctx, to: to, name: name, size: size, told: told}
}
