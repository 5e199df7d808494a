// Package clients opens the connections that the provider block describes: to clusters, to Redis and to the configuration files of the Brane instance. It knows
// no resource.
package clients

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/branelet"
	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// ErrNotKnown reports that a connection depends on a resource of the same apply, so that it cannot be used yet.
var ErrNotKnown error = notKnownError{}

type notKnownError struct{}

func (notKnownError) Error() string { return "the provider's configuration is not known before apply" }

// Remedy returns what to do about it.
func (notKnownError) Remedy() string {
	return "Apply the resources on which the provider block depends first, for example with -target, then plan again."
}

// Clients holds the clients of the provider block. Each is opened on first use and then shared, so that a plan that needs none of them works offline.
type Clients struct {
	clusters
	Redis        RedisServer
	ControlPlane ControlPlane
	AgentImage   string
	Version      string // of the provider, which the agent must have
	Now          func() time.Time

	redisConnection redisConnection
	secretsOnce     sync.Once
	secrets         *infra.SecretStore
	directoryOnce   sync.Once
	directory       *infra.DirectoryStore
}

// ControlPlane describes where the Brane instance keeps its configuration files: in a directory, or in a Secret if it has a name.
type ControlPlane struct {
	Directory       string
	SecretCluster   types.String
	SecretNamespace string
	SecretName      string
	Version         infra.Version
	BakesFiles      bool // whether the images of the instance contain the files and must be rebuilt after a change
	IsUnknown       bool // whether a part of the block is not known before apply
}

// FromProviderData returns the clients that Configure has passed on. They are nil during validation, when the provider is not configured.
func FromProviderData(providerData any, diags *diag.Diagnostics) *Clients {
	if providerData == nil {
		return nil
	}
	c, ok := providerData.(*Clients)
	if !ok {
		diags.AddError("Unexpected provider data type", fmt.Sprintf("The provider passed a %T. This is a bug in the provider: please report it.", providerData))
	}
	return c
}

// ConfigStore returns the store of the configuration files of the Brane instance. All resources use one store, which serialises its writers and parses the same files once.
func (c *Clients) ConfigStore() (infra.Store, error) {
	plane := &c.ControlPlane
	switch {
	case plane.IsUnknown:
		return nil, ErrNotKnown
	case plane.SecretName != "":
		client, err := c.Kubernetes(plane.SecretCluster)
		if err != nil {
			return nil, err
		}
		c.secretsOnce.Do(func() { c.secrets = infra.NewSecretStore(client, plane.SecretNamespace, plane.SecretName) })
		return c.secrets, nil
	case plane.Directory != "":
		c.directoryOnce.Do(func() { c.directory = infra.NewDirectoryStore(plane.Directory, plane.Version) })
		return c.directory, nil
	default:
		return nil, errors.New("the control plane is not configured: set control_plane.directory (or BRANE_CONTROL_PLANE_DIRECTORY) or control_plane.kubernetes_secret in the provider block")
	}
}

// PackageVersion returns the version of Brane for steps that call a package without brane_version. It is empty if it is not known.
func (c *Clients) PackageVersion() branelet.Version {
	if c == nil || c.ControlPlane.IsUnknown {
		return ""
	}
	return branelet.Version(c.ControlPlane.Version)
}

// Infrastructure is a registered location, with a client of its cluster.
type Infrastructure struct {
	infra.Location
	Kube *kube.Client
	// Server is host:port of the registered API server, and the path of its URL if it has one, which identify the cluster.
	Server string
}

// NewInfrastructure returns a location with a client of its cluster.
func NewInfrastructure(registration infra.Registration, client *kube.Client) *Infrastructure {
	return &Infrastructure{Location: registration.Location, Kube: client, Server: registration.Location.Address + kube.ServerPath(registeredServer(registration))}
}

// registeredServer returns the URL of the API server in the registered kubeconfig; empty if that cannot be read.
func registeredServer(registration infra.Registration) string {
	kubeconfig, err := credentials.Parse(registration.Kubeconfig)
	if err != nil {
		return ""
	}
	return kubeconfig.Server
}

// ReadRegistration reads a location from the configuration files of the Brane instance.
func (c *Clients) ReadRegistration(ctx context.Context, name string) (infra.Registration, error) {
	store, err := c.ConfigStore()
	if err != nil {
		return infra.Registration{}, err
	}
	return infra.Lookup(ctx, store, name)
}

// ConnectInfrastructure returns a location, with a client that uses the registered credentials. If the API server rejects their token, the client continues
// with the token that replaces it, see renewToken.
func (c *Clients) ConnectInfrastructure(ctx context.Context, name string) (*Infrastructure, error) {
	registration, err := c.ReadRegistration(ctx, name)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := credentials.Parse(registration.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig that is registered for infrastructure %q: %w", name, err)
	}
	config := kubeconfig.Config()
	if kubeconfig.Token != "" {
		kube.RenewToken(config, func(ctx context.Context, rejected string) (string, error) {
			return c.renewToken(ctx, name, kubeconfig, rejected)
		})
	}
	client, err := NewKubernetes(config)
	if err != nil {
		return nil, fmt.Errorf("use the kubeconfig that is registered for infrastructure %q: %w", name, err)
	}
	return NewInfrastructure(registration, client), nil
}

// requestedLifetime is the lifetime of a token that a run requests. When it has expired, the run requests another one.
const requestedLifetime = time.Hour

// renewToken returns a token for a run whose token was rejected, because it has expired or was revoked: the one that is registered now, or, if it is the rejected
// one, a new one for its service account, if the provider's own account may request it. A token of another API server is not returned: it would be sent to the
// server of the rejected one.
func (c *Clients) renewToken(ctx context.Context, name string, used *credentials.Kubeconfig, rejected string) (string, error) {
	registration, err := c.ReadRegistration(ctx, name)
	if err != nil {
		return "", err
	}
	registered, err := credentials.Parse(registration.Kubeconfig)
	if err != nil {
		return "", err
	}
	if kube.NormalizeServer(registered.Server) == kube.NormalizeServer(used.Server) && registered.Token != "" && registered.Token != rejected {
		return registered.Token, nil
	}
	namespace, serviceAccount, isAccount := used.ServiceAccount()
	own := c.KubernetesAt(used.Server)
	if !isAccount || own == nil {
		return rejected, nil
	}
	token, err := credentials.RequestToken(ctx, own, namespace, serviceAccount, requestedLifetime, nil)
	return token.Value, err
}
