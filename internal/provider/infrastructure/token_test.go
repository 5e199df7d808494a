package infrastructure_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestAccInfrastructure_deadToken registers a new token for one that the cluster does not accept any more, or that is of another service account. The refresh
// sees it in the objects of the token, whether or not the credentials are verified.
func TestAccInfrastructure_deadToken(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		longLived, unverified bool
		happens               func(t *testing.T, i instance)
		want                  string
	}{
		"marked as invalid": {true, false, markInvalid, `^Secret "brane-token-\w+" of the registered token contains a token that the cluster does not accept since 2026-01-02`},
		"marked as invalid, not verified": {
			true, true, markInvalid, `^Secret "brane-token-\w+" of the registered token contains a token that the cluster does not accept since 2026-01-02`,
		},
		"another token": {true, true, signAgain, `^the registered token was revoked: its Secret "brane-token-\w+" in namespace "\S+" contains another token$`},
		"Secret deleted": {true, true, func(t *testing.T, i instance) {
			acctest.NoError(t, i.Client.Delete(context.Background(), i.tokenSecret(t)))
		}, `^the registered token was revoked: its Secret "brane-token-\w+" in namespace "\S+" does not exist$`},
		"service account created again": {false, true, func(t *testing.T, i instance) { i.revoke(t)() }, `^the registered token is of an earlier service account "brane" in namespace "\S+", which was deleted$`},
		"another service account": {false, true, func(t *testing.T, i instance) { i.register(t, i.token(t, "other")) },
			`^the registered credential was replaced by the token of another service account, "other" in namespace "\S+"$`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newInstance(t)
			i.submitters(t, nil)
			config := i.hcl(t, alone(fmt.Sprintf(`{ service_account = "brane", long_lived = %t }`, tt.longLived), fmt.Sprintf("verify_credentials = %t", !tt.unverified)))
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.ProviderFactories,
				Steps: []resource.TestStep{
					{Config: config},
					{PreConfig: func() { tt.happens(t, i) }, Config: config, ConfigPlanChecks: driftsLike(tt.want), Check: i.registersAccepted(t)},
					{Config: config, ConfigPlanChecks: emptyPlan()},
				},
			})
		})
	}
}

// tokenSecret returns the Secret of the registered long-lived token.
func (i instance) tokenSecret(t *testing.T) *corev1.Secret {
	t.Helper()
	kubeconfig, err := credentials.Parse(i.kubeconfig(t, "compute"))
	acctest.NoError(t, err)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: kubeconfig.TokenSecret()}}
	acctest.NoError(t, i.Client.Get(context.Background(), secret))
	return secret
}

// markInvalid does what the cluster does with a token that nobody has used for a year.
func markInvalid(t *testing.T, i instance) {
	secret := i.tokenSecret(t)
	secret.Labels["kubernetes.io/legacy-token-invalid-since"] = "2026-01-02"
	acctest.NoError(t, i.Client.Update(context.Background(), secret))
}

// signAgain stores another token in the Secret: one with another signature, as an API server with other keys would issue.
func signAgain(t *testing.T, i instance) {
	secret := i.tokenSecret(t)
	secret.Data[corev1.ServiceAccountTokenKey] = append(secret.Data[corev1.ServiceAccountTokenKey], "AAAA"...)
	acctest.NoError(t, i.Client.Update(context.Background(), secret))
}

// registersAccepted checks that Brane can use what is registered.
func (i instance) registersAccepted(t *testing.T) resource.TestCheckFunc {
	return func(*terraform.State) error {
		i.probedAs(t, nil)
		return nil
	}
}
