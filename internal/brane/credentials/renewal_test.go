package credentials_test

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
)

// TestNeedsRenewal covers renewBefore, its default, and a granted lifetime that is not longer than it.
func TestNeedsRenewal(t *testing.T) {
	issued := time.Unix(1_700_000_000, 0)
	const lifetime = 9 * time.Hour
	token := func(claims string) *credentials.Kubeconfig {
		return &credentials.Kubeconfig{Token: "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"}
	}
	expiring := token(fmt.Sprintf(`{"iat":%d,"exp":%d}`, issued.Unix(), issued.Add(lifetime).Unix()))
	for name, tt := range map[string]struct {
		kubeconfig  *credentials.Kubeconfig
		renewBefore time.Duration
		left        time.Duration
		want        bool
	}{
		"more than a third is left":                  {expiring, 0, 3*time.Hour + time.Second, false},
		"less than a third is left":                  {expiring, 0, 3*time.Hour - time.Second, true},
		"before renewBefore":                         {expiring, time.Hour, time.Hour + time.Second, false},
		"after renewBefore":                          {expiring, time.Hour, time.Hour - time.Second, true},
		"renewBefore of more than a third":           {expiring, 8 * time.Hour, 8*time.Hour - time.Second, true},
		"granted less than renewBefore: not yet":     {expiring, 24 * time.Hour, 3*time.Hour + time.Second, false},
		"granted less than renewBefore: a third":     {expiring, 24 * time.Hour, 3*time.Hour - time.Second, true},
		"granted just renewBefore: not due at first": {expiring, lifetime, lifetime, false},
		"expired":                   {expiring, time.Hour, -time.Hour, true},
		"without an expiry time":    {token(`{"iat":1700000000}`), time.Hour, time.Second, false},
		"a token that is not a JWT": {&credentials.Kubeconfig{Token: "opaque"}, time.Hour, time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.kubeconfig.NeedsRenewal(issued.Add(lifetime-tt.left), tt.renewBefore); got != tt.want {
				t.Errorf("due: %t, want %t", got, tt.want)
			}
		})
	}
}
