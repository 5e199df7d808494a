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

// clusters are the clusters of the provider's configuration by their names; the one of the `kubernetes` block has the empty name. Each is connected to
// on first use, so that one that cannot be reached is only in the way of what is in it.
type clusters struct {
	known        map[string]func() (cluster, error)
	namesUnknown bool // not even the names in `clusters` are known before apply
}

// cluster is a connection to one cluster with the provider's own account.
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

// connectionError says that what the provider block, or the environment, says of a cluster is no connection.
type connectionError struct{ err error }

func (e *connectionError) Error() string { return e.err.Error() }
func (e *connectionError) Unwrap() error { return e.err }

// add takes a cluster in; connection is nil where a part of it is not known before apply.
func (c *clusters) add(name string, connection *kube.Connection) {
	if c.known == nil {
		c.known = map[string]func() (cluster, error){}
	}
	c.known[name] = sync.OnceValues(func() (cluster, error) { return connect(connection) })
}

// kube is the connection to a cluster with the provider's own account; no name means the cluster of the `kubernetes` block.
// The error is [errNotKnown] while the connection, or the name itself, depends on something that is not applied yet.
func (c *clusters) kube(name types.String) (*kube.Client, error) {
	found, err := c.cluster(name)
	return found.client, err
}

// at is the connection with the provider's own account to the cluster at an address; nil where the configuration names none with just this address.
func (c *clusters) at(host string) *kube.Client {
	for _, name := range slices.Sorted(maps.Keys(c.known)) {
		if own, err := c.known[name](); err == nil && own.client.Host() == host {
			return own.client
		}
	}
	return nil
}

// reader reads namespaces of a cluster, with few requests for many of them. It is for the refresh before a plan, not for what was just written.
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

// noClusterError says that the provider block has no cluster of a name, and which it has.
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
		return "no cluster is named, and the provider block has no kubernetes, which would then count: " + known
	}
	return fmt.Sprintf("there is no cluster %q in clusters of the provider block: %s", e.name, known)
}

// clusterAttribute is the same in all resources.
func clusterAttribute() schema.StringAttribute {
	return schema.StringAttribute{
		MarkdownDescription: clusterDescription + " Changing it makes the resource anew in the other cluster.",
		Optional:            true,
		Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

const clusterDescription = "Name of the cluster, one of `clusters` in the provider block. Default: the cluster of the provider's `kubernetes`."

// planCluster refuses a cluster that the provider block does not have, while a plan is made. Where the CLI allows it, a resource in a cluster that is
// not known yet is deferred.
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
		resp.Diagnostics.AddAttributeError(at, "No such cluster", explain("Looking for the cluster", err))
	case errors.Is(err, errNotKnown) && req.ClientCapabilities.DeferralAllowed:
		resp.Deferred = &resource.Deferred{Reason: resource.DeferredReasonProviderConfigUnknown}
	}
}

// clusterAway says that a resource was not looked at, because its cluster does not answer. What is in the others is planned and applied all the same, which an
// error would prevent. For the only cluster of a configuration it is an error: then there is nothing to go on with.
func clusterAway(diags *diag.Diagnostics, cluster types.String, address, what string, err error) {
	diags.AddWarning("Cluster does not answer", fmt.Sprintf(
		"Cluster %q does not answer at %s, so %s was not looked at and is planned as it was last seen. What is in other clusters is not affected.\n\n%s.",
		cluster.ValueString(), address, what, strings.TrimSuffix(err.Error(), ".")))
}
