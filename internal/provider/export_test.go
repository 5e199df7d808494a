package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/provider"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// NewAt returns a constructor of a provider with another clock, to test the renewal of credentials.
func NewAt(now func() time.Time) func() provider.Provider {
	return func() provider.Provider { return &braneProvider{version: "test", now: now} }
}

// SaveFile exports saveFile.
func SaveFile(ctx context.Context, store *files.Store, entry files.Entry, to string, logged time.Time) (digest string, err error) {
	return saveFile(ctx, store, entry, to, logged)
}
