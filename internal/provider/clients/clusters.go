package clients

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/provider/requestlog"
)

// clusters holds the clusters of the provider block by name; that of `kubernetes` has the empty name. The provider connects to each on first use, so that an
// unreachable cluster affects only its own resources.
type clusters struct {
	known        map[string]func() (cluster, error)
	NamesUnknown bool // whether the keys of `clusters` are not known before apply
}

// cluster is a connection to one cluster with the credentials of the provider.
type cluster struct {
	client *kube.Client
	reader namespace.Reader
}

func connectCluster(to *kube.Connection) (cluster, error) {
	if to == nil {
		return cluster{}, ErrNotKnown
	}
	config, err := to.Config()
	if err != nil {
		return cluster{}, &connectionError{err}
	}
	client, err := NewKubernetes(config)
	if err != nil {
		return cluster{}, &connectionError{err}
	}
	reader, err := namespace.NewReader(client)
	return cluster{client, reader}, err
}

// NewKubernetes returns a client of an API server whose requests are logged.
func NewKubernetes(config *rest.Config) (*kube.Client, error) {
	config.Wrap(requestlog.WrapTransport)
	return kube.New(config)
}

// connectionError reports that the provider block or the environment does not describe a valid connection.
type connectionError struct{ err error }

func (e *connectionError) Error() string { return e.err.Error() }
func (e *connectionError) Unwrap() error { return e.err }

// Remedy returns what to do about it.
func (e *connectionError) Remedy() string {
	return "Check the cluster connection settings: kubernetes (or the entry of clusters) in the provider block, or the corresponding environment variable, such as KUBE_CONFIG_PATH."
}

// AddCluster adds a cluster. connection is nil if a part of it is not known before apply.
func (c *clusters) AddCluster(name string, connection *kube.Connection) {
	if c.known == nil {
		c.known = map[string]func() (cluster, error){}
	}
	c.known[name] = sync.OnceValues(func() (cluster, error) { return connectCluster(connection) })
}

// Kubernetes returns a client of a cluster with the credentials of the provider. A null name selects the cluster of `kubernetes`.
// The error is [errNotKnown] if the connection or the name depends on a resource that is not applied yet.
func (c *clusters) Kubernetes(name types.String) (*kube.Client, error) {
	found, err := c.findCluster(name)
	return found.client, err
}

// ConnectKubernetes is [Clients.Kubernetes] for an operation that changes the cluster: it returns an error if the API server is too old.
func (c *clusters) ConnectKubernetes(ctx context.Context, name types.String) (*kube.Client, error) {
	client, err := c.Kubernetes(name)
	if err != nil {
		return nil, err
	}
	return client, client.CheckVersion(ctx)
}

// KubernetesAt returns a client with the credentials of the provider for the cluster whose API server has this address, or nil if the provider block has none.
func (c *clusters) KubernetesAt(host string) *kube.Client {
	for _, name := range slices.Sorted(maps.Keys(c.known)) {
		if own, err := c.known[name](); err == nil && kube.NormalizeServer(own.client.Host()) == kube.NormalizeServer(host) {
			return own.client
		}
	}
	return nil
}

// NamespaceReader returns a reader that reads many namespaces of a cluster with few requests. Its cache suits a refresh, not reads after a write.
func (c *clusters) NamespaceReader(name types.String) (namespace.Reader, error) {
	found, err := c.findCluster(name)
	return found.reader, err
}

func (c *clusters) findCluster(name types.String) (cluster, error) {
	if name.IsUnknown() {
		return cluster{}, ErrNotKnown
	}
	connect, ok := c.known[name.ValueString()]
	switch {
	case ok:
		return connect()
	case c.NamesUnknown:
		return cluster{}, ErrNotKnown
	}
	names := slices.Sorted(maps.Keys(c.known))
	return cluster{}, &NoClusterError{name.ValueString(), slices.DeleteFunc(names, func(name string) bool { return name == "" })}
}

// NoClusterError reports that the provider block has no cluster of a name, and lists those that it has.
type NoClusterError struct {
	name  string
	known []string
}

func (e *NoClusterError) Error() string {
	known := "it has no clusters"
	if len(e.known) > 0 {
		known = `it has "` + strings.Join(e.known, `", "`) + `"`
	}
	if e.name == "" {
		return "cluster is not set, and the provider block has no kubernetes block, which is the default: " + known
	}
	return fmt.Sprintf("there is no cluster %q in clusters of the provider block: %s", e.name, known)
}
