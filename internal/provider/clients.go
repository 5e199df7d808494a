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

// errNotKnown reports that a connection depends on a resource of the same apply, so that it cannot be used yet.
var errNotKnown error = notKnownError{}

type notKnownError struct{}

func (notKnownError) Error() string { return "the provider's configuration is not known before apply" }

// Remedy returns what to do about it.
func (notKnownError) Remedy() string {
	return "Apply the resources on which the provider block depends first, for example with -target, then plan again."
}

// Clients holds the clients of the provider block. Each is opened on first use and then shared, so that a plan that needs none of them works offline.
type Clients struct {
	clusters
	redis        redisServer
	controlPlane controlPlane
	agentImage   string
	now          func() time.Time

	redisConnection redisConnection
	secretsOnce     sync.Once
	secrets         *infra.SecretStore
}

// controlPlane describes where the Brane instance keeps its configuration files: in a directory, or in a Secret if it has a name.
type controlPlane struct {
	directory       string
	secretCluster   types.String
	secretNamespace string
	secretName      string
	version         infra.Version
	bakesFiles      bool // whether the images of the instance contain the files and must be rebuilt after a change
	isUnknown       bool // whether a part of the block is not known before apply
}

// fromProviderData returns the clients that Configure has passed on. They are nil during validation, when the provider is not configured.
func fromProviderData(providerData any, diags *diag.Diagnostics) *Clients {
	if providerData == nil {
		return nil
	}
	c, ok := providerData.(*Clients)
	if !ok {
		diags.AddError("Unexpected provider data type", fmt.Sprintf("The provider passed a %T. This is a bug in the provider: please report it.", providerData))
	}
	return c
}

// configStore returns the store of the configuration files of the Brane instance. A Secret has one store for all resources, because a store serialises its writers.
func (c *Clients) configStore() (infra.Store, error) {
	plane := &c.controlPlane
	switch {
	case plane.isUnknown:
		return nil, errNotKnown
	case plane.secretName != "":
		client, err := c.kubernetes(plane.secretCluster)
		if err != nil {
			return nil, err
		}
		c.secretsOnce.Do(func() { c.secrets = infra.NewSecretStore(client, plane.secretNamespace, plane.secretName) })
		return c.secrets, nil
	case plane.directory != "":
		return infra.NewDirectoryStore(plane.directory, plane.version), nil
	default:
		return nil, errors.New("the control plane is not configured: set control_plane.directory (or BRANE_CONTROL_PLANE_DIRECTORY) or control_plane.kubernetes_secret in the provider block")
	}
}

// packageVersion returns the version of Brane for steps that call a package without brane_version. It is empty if it is not known.
func (c *Clients) packageVersion() branelet.Version {
	if c == nil || c.controlPlane.isUnknown {
		return ""
	}
	return branelet.Version(c.controlPlane.version)
}

// infrastructure is a registered location, with a client of its cluster.
type infrastructure struct {
	infra.Location
	kube *kube.Client
}

// readRegistration reads a location from the configuration files of the Brane instance.
func (c *Clients) readRegistration(ctx context.Context, name string) (infra.Registration, error) {
	store, err := c.configStore()
	if err != nil {
		return infra.Registration{}, err
	}
	return infra.Lookup(ctx, store, name)
}

// connectInfrastructure returns a location, with a client that uses the registered credentials.
func (c *Clients) connectInfrastructure(ctx context.Context, name string) (*infrastructure, error) {
	registration, err := c.readRegistration(ctx, name)
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
	return &infrastructure{Location: registration.Location, kube: client}, nil
}
