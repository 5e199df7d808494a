package provider

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

// errNotKnown says that a connection depends on something that is made in the same apply, so that it cannot be used yet.
var errNotKnown = errors.New("the provider's configuration is not known before apply")

// connections are what the provider's configuration names. Each is made on first use and then shared, so that a plan that
// needs none of them works offline.
type connections struct {
	clusters
	redis           redisServer
	directory       string
	braneVersion    infra.Version
	secretCluster   types.String
	bakesFiles      bool // the instance sees changed files only when its images are built again
	secretNamespace string
	secretName      string
	agentImage      string
	now             func() time.Time

	controlPlaneUnknown bool

	secretsOnce sync.Once
	secrets     *infra.SecretStore
}

// connectionsOf are the connections that Configure has handed over; nil while validation runs without a configured provider.
func connectionsOf(providerData any, diags *diag.Diagnostics) *connections {
	if providerData == nil {
		return nil
	}
	c, ok := providerData.(*connections)
	if !ok {
		diags.AddError("Provider data of an unexpected type", fmt.Sprintf("The provider handed over %T. This is a bug in the provider: please report it.", providerData))
	}
	return c
}

// store is where the Brane instance keeps its documents. A Secret has one store for all resources, because writers take turns only within one.
func (c *connections) store() (infra.Store, error) {
	switch {
	case c.controlPlaneUnknown:
		return nil, errNotKnown
	case c.secretName != "":
		client, err := c.kube(c.secretCluster)
		if err != nil {
			return nil, err
		}
		c.secretsOnce.Do(func() { c.secrets = infra.NewSecretStore(client, c.secretNamespace, c.secretName) })
		return c.secrets, nil
	case c.directory != "":
		return infra.NewDirectoryStore(c.directory, c.braneVersion), nil
	default:
		return nil, errors.New("no control plane is named: set control_plane.directory (or BRANE_CONTROL_PLANE_DIRECTORY) or control_plane.kubernetes_secret in the provider block")
	}
}

// packages is the version of Brane whose packages a step calls that says none; empty where it is not known.
func (c *connections) packages() branelet.Version {
	if c == nil || c.controlPlaneUnknown {
		return ""
	}
	return branelet.Version(c.braneVersion)
}

// registered is a location as the Brane instance has it, and a connection to its cluster.
type registered struct {
	infra.Location
	kube *kube.Client
}

// registration looks a location up in the control plane's documents.
func (c *connections) registration(ctx context.Context, name string) (infra.Registration, error) {
	store, err := c.store()
	if err != nil {
		return infra.Registration{}, err
	}
	return infra.Lookup(ctx, store, name)
}

// infrastructure is a location, with the credential that is registered there.
func (c *connections) infrastructure(ctx context.Context, name string) (*registered, error) {
	registration, err := c.registration(ctx, name)
	if err != nil {
		return nil, err
	}
	kubeconfig, err := credentials.Parse(registration.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig that is registered for infrastructure %q: %w", name, err)
	}
	client, err := kubeconfig.Client()
	if err != nil {
		return nil, fmt.Errorf("use the kubeconfig that is registered for infrastructure %q: %w", name, err)
	}
	return &registered{Location: registration.Location, kube: client}, nil
}
