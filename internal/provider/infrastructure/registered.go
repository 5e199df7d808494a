package infrastructure

import (
	"encoding/json"

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
