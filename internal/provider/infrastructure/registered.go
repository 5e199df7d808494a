package infrastructure

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// registeredKey is the private data with the [registered] credentials. Drift cannot show the plan whether they can be kept: it also has the differences of the
// location, and its sentences are for people.
const registeredKey = "registered_credentials"

// registered is what a plan has to know of the registered credentials. It is empty if they have to be replaced.
type registered struct {
	Server    string `json:"server,omitempty"`
	Namespace string `json:"namespace,omitempty"` // of the kubeconfig's context; empty if it fits each namespace
}

// encodeRegistered returns the private data for a kubeconfig; nil if it has to be replaced.
func encodeRegistered(kubeconfig *credentials.Kubeconfig) []byte {
	var r registered
	if kubeconfig != nil {
		r = registered{kubeconfig.Server, kubeconfig.Namespace}
	}
	encoded, err := json.Marshal(r)
	if err != nil {
		panic(err) // two strings can always be encoded
	}
	return encoded
}

// fits reports whether the private data is of credentials that can be kept for a location. There is no data before the first refresh or apply of this version.
func fits(data []byte, address, namespace string) bool {
	var r registered
	if err := json.Unmarshal(data, &r); err != nil || r.Server == "" {
		return false
	}
	return (&credentials.Kubeconfig{Server: r.Server, Namespace: r.Namespace}).Check(address, namespace) == nil
}

// keepsCluster reports whether the private data is of credentials for the cluster of the provider's connection. Several clusters have one address if they are
// behind a proxy that distinguishes them by the path.
func keepsCluster(data []byte, address, connection string) bool {
	var r registered
	if err := json.Unmarshal(data, &r); err != nil || !isAddressOf(address, connection) {
		return true // nothing is registered, or its cluster is not that of the connection
	}
	return kube.ServerPath(r.Server) == kube.ServerPath(connection)
}

// tokenNamespaceKey is the private data with the namespace of the Secret that has the long-lived token of the state. The namespace of the location differs from it
// if infra.yml was edited, and the kubeconfig may be lost when the token is revoked.
const tokenNamespaceKey = "token_namespace"

// writeTokenNamespace writes the private data if a kubeconfig has the long-lived token of a state.
func writeTokenNamespace(ctx context.Context, private interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}, state infrastructureModel, kubeconfig *credentials.Kubeconfig, diags *diag.Diagnostics,
) {
	if kubeconfig == nil || state.TokenSecret.IsNull() || kubeconfig.TokenSecret() != state.TokenSecret.ValueString() {
		return
	}
	if namespace, _, ok := kubeconfig.ServiceAccount(); ok {
		diags.Append(private.SetKey(ctx, tokenNamespaceKey, []byte(strconv.Quote(namespace)))...)
	}
}

// readTokenNamespace returns the namespace in the private data. Before it was written, it is that of the location.
func readTokenNamespace(ctx context.Context, private interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
}, state infrastructureModel, diags *diag.Diagnostics,
) string {
	text, problems := private.GetKey(ctx, tokenNamespaceKey)
	diags.Append(problems...)
	namespace, _ := strconv.Unquote(string(text)) // an empty one is none
	return cmp.Or(namespace, state.Namespace.ValueString())
}
