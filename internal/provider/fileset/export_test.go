package fileset

import (
	"context"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// SaveFile exports saveFile.
func SaveFile(ctx context.Context, store *files.Store, entry files.Entry, to string, logged time.Time) (digest string, err error) {
	return saveFile(ctx, store, entry, to, logged)
}
