package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/provider"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// NewAt makes a provider that lives at another time, for what happens when a credential grows old.
func NewAt(now func() time.Time) func() provider.Provider {
	return func() provider.Provider { return &braneProvider{version: "test", now: now} }
}

// SaveFile is what a data source does with a file; told is when the log heard of it last.
func SaveFile(ctx context.Context, store *files.Store, entry files.Entry, to string, told time.Time) (digest string, err error) {
	return saveFile(ctx, store, entry, to, told)
}

// FormatDuration writes a duration in messages and descriptions.
func FormatDuration(d time.Duration) string { return formatDuration(d) }
