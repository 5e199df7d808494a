package attribute_test

import (
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

// TestFormatDuration leaves out units that are zero at the end, and no others.
func TestFormatDuration(t *testing.T) {
	for want, given := range map[string]time.Duration{
		"1h": time.Hour, "2m": 2 * time.Minute, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "1h0m5s": time.Hour + 5*time.Second, "20s": 20 * time.Second,
		"1m30s": 90 * time.Second, "1.5s": 1500 * time.Millisecond, "100h": 100 * time.Hour, "0s": 0,
	} {
		if got := attribute.FormatDuration(given); got != want {
			t.Errorf("%v is written %s, want %s", given, got, want)
		}
	}
}
