package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
)

// clusters holds the clusters of the provider block by name; that of `kubernetes` has the empty name. The provider connects to each on first use, so that an
// unreachable cluster affects only its own resources.
type clusters struct {
	known        map[string]func() (cluster, error)
	namesUnknown bool // whether the keys of `clusters` are not known before apply
}

// cluster is a connection to one cluster with the credentials of the provider.
type cluster struct {
	client *kube.Client
	reader namespace.Reader
}

func connect(to *kube.Connection) (cluster, error) {
	if to == nil {
		return cluster{}, errNotKnown
	}
	config, err := to.Config()
	if err != nil {
		return cluster{}, &connectionError{err}
	}
	client, err := kube.New(config)
	if err != nil {
		return cluster{}, &connectionError{err}
	}
	reader, err := namespace.NewReader(client)
	return cluster{client, reader}, err
}

// connectionError reports that the provider block or the environment does not describe a valid connection.
type connectionError struct{ err error }

func (e *connectionError) Error() string { return e.err.Error() }
func (e *connectionError) Unwrap() error { return e.err }

// add adds a cluster. connection is nil if a part of it is not known before apply.
func (c *clusters) add(name string, connection *kube.Connection) {
	if c.known == nil {
		c.known = map[string]func() (cluster, error){}
	}
	c.known[name] = sync.OnceValues(func() (cluster, error) { return connect(connection) })
}

// kube returns a client of a cluster with the credentials of the provider. A null name selects the cluster of `kubernetes`.
// The error is [errNotKnown] if the connection or the name depends on a resource that is not applied yet.
func (c *clusters) kube(name types.String) (*kube.Client, error) {
	found, err := c.cluster(name)
	return found.client, err
}

// at returns a client with the credentials of the provider for the cluster whose API server has this address, or nil if the provider block has none.
func (c *clusters) at(host string) *kube.Client {
	for _, name := range slices.Sorted(maps.Keys(c.known)) {
		if own, err := c.known[name](); err == nil && own.client.Host() == host {
			return own.client
		}
	}
	return nil
}

// reader returns a reader that reads many namespaces of a cluster with few requests. Its cache suits a refresh, not reads after a write.
func (c *clusters) reader(name types.String) (namespace.Reader, error) {
	found, err := c.cluster(name)
	return found.reader, err
}

func (c *clusters) cluster(name types.String) (cluster, error) {
	if name.IsUnknown() {
		return cluster{}, errNotKnown
	}
	connect, ok := c.known[name.ValueString()]
	switch {
	case ok:
		return connect()
	case c.namesUnknown:
		return cluster{}, errNotKnown
	}
	names := slices.Sorted(maps.Keys(c.known))
	return cluster{}, &noClusterError{name.ValueString(), slices.DeleteFunc(names, func(name string) bool { return name == "" })}
}

// noClusterError reports that the provider block has no cluster of a name, and lists those that it has.
type noClusterError struct {
	name  string
	known []string
}

func (e *noClusterError) Error() string {
	known := "it has no clusters"
	if len(e.known) > 0 {
		known = `it has "` + strings.Join(e.known, `", "`) + `"`
	}
	if e.name == "" {
		return "cluster is not set, and the provider block has no kubernetes block, which is the default: " + known
	}
	return fmt.Sprintf("there is no cluster %q in clusters of the provider block: %s", e.name, known)
}

// clusterAttribute returns the attribute that all resources in a cluster share.
func clusterAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: clusterDescription + " " + forcesReplacement,
		Optional:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

const clusterDescription = "Name of the cluster, a key of `clusters` in the provider block. Defaults to the cluster of `kubernetes`."

// planCluster adds an error to a plan if the provider block does not have the cluster. If the CLI supports it, a resource in a cluster that is not known yet is
// deferred.
func (r *resourceBase) planCluster(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || r.connections == nil {
		return // destroy, or validation without a configured provider
	}
	at := path.Root("cluster")
	var name types.String
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, at, &name)...)
	_, err := r.kube(name)
	var none *noClusterError
	switch {
	case errors.As(err, &none):
		resp.Diagnostics.AddAttributeError(at, "Unknown cluster", explain("Looking for the cluster", err))
	case errors.Is(err, errNotKnown) && req.ClientCapabilities.DeferralAllowed:
		resp.Deferred = &resource.Deferred{Reason: resource.DeferredReasonProviderConfigUnknown}
	}
}

// warnUnreachable adds the warning that a resource was not refreshed because its cluster is unreachable. It is a warning, so that resources in other clusters
// are planned and applied. For the cluster of `kubernetes` it would be an error.
func warnUnreachable(diags *diag.Diagnostics, cluster types.String, address, what string, err error) {
	diags.AddWarning("Cluster unreachable", fmt.Sprintf(
		"Cluster %q at %s is unreachable, so that %s was not refreshed; the plan uses its last known state. Resources in other clusters are not affected.\n\n%s.",
		cluster.ValueString(), address, what, strings.TrimSuffix(err.Error(), ".")))
}
