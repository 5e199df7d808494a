package provider

import (
	"time"

	"github.com/hashicorp/terraform-plugin-framework/provider"
)

// NewAt makes a provider that lives at another time, for what happens when a credential grows old.
func NewAt(now func() time.Time) func() provider.Provider {
	return func() provider.Provider { return &braneProvider{version: "test", now: now} }
}
