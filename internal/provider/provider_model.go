package provider

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
)

// releasedAgent is the repository of the agent images of releases. Their tag is the version of the provider.
const releasedAgent = "ghcr.io/braneframework/brane-agent"

// providerModel holds the provider block. The nested values are objects and not structs, because each can be unknown as a whole during a plan.
type providerModel struct {
	Kubernetes   types.Object `tfsdk:"kubernetes"`
	Clusters     types.Map    `tfsdk:"clusters"`
	Redis        types.Object `tfsdk:"redis"`
	ControlPlane types.Object `tfsdk:"control_plane"`
	AgentImage   types.String `tfsdk:"agent_image"`
}

type kubernetesModel struct {
	ConfigPath           types.String `tfsdk:"config_path"`
	ConfigContext        types.String `tfsdk:"config_context"`
	Host                 types.String `tfsdk:"host"`
	Token                types.String `tfsdk:"token"`
	ClientCertificate    types.String `tfsdk:"client_certificate"`
	ClientKey            types.String `tfsdk:"client_key"`
	ClusterCACertificate types.String `tfsdk:"cluster_ca_certificate"`
	TLSServerName        types.String `tfsdk:"tls_server_name"`
	ProxyURL             types.String `tfsdk:"proxy_url"`
	Insecure             types.Bool   `tfsdk:"insecure"`
	InCluster            types.Bool   `tfsdk:"in_cluster"`
	Exec                 types.Object `tfsdk:"exec"`
	QPS                  types.Int64  `tfsdk:"qps"`
	Burst                types.Int64  `tfsdk:"burst"`
}

type execModel struct {
	APIVersion types.String      `tfsdk:"api_version"`
	Command    types.String      `tfsdk:"command"`
	Args       []string          `tfsdk:"args"`
	Env        map[string]string `tfsdk:"env"`
}

type controlPlaneModel struct {
	Directory        types.String `tfsdk:"directory"`
	BraneVersion     types.String `tfsdk:"brane_version"`
	KubernetesSecret types.Object `tfsdk:"kubernetes_secret"`
}

type secretModel struct {
	Cluster   types.String `tfsdk:"cluster"`
	Namespace types.String `tfsdk:"namespace"`
	Name      types.String `tfsdk:"name"`
}

// hasUnknown reports whether a part of the configuration that any resource can need is not known before apply. Unknown values of one of several clusters only
// affect the resources in that cluster.
func (m providerModel) hasUnknown() bool {
	return attribute.HasUnknown(m.Kubernetes) || m.Clusters.IsUnknown() || attribute.HasUnknown(m.Redis) || attribute.HasUnknown(m.ControlPlane) || m.AgentImage.IsUnknown()
}

// toClients returns the clients that the configuration describes. Each connects when it is first used.
func (m providerModel) toClients(ctx context.Context, version string) (*clients.Clients, diag.Diagnostics) {
	var diags diag.Diagnostics
	c := &clients.Clients{AgentImage: valueOrEnvironment(m.AgentImage, "BRANE_AGENT_IMAGE"), Version: version}
	if m.AgentImage.IsNull() { // the schema validates the attribute
		checkVariable(path.Root("agent_image"), "the environment variable BRANE_AGENT_IMAGE", c.AgentImage, unnamedImageProblems, &diags)
	}
	if c.AgentImage == "" {
		c.AgentImage = releasedAgent + ":" + version
	}

	for name, connection := range m.toConnections(ctx, &diags) {
		c.AddCluster(name, connection)
	}
	c.NamesUnknown = m.Clusters.IsUnknown()

	c.Redis = toRedisServer(ctx, m.Redis, &diags)
	c.ControlPlane = toControlPlane(ctx, m.ControlPlane, &diags)
	return c, diags
}

// toConnections returns the connections to all clusters by name; that of `kubernetes` has the empty name. A connection is nil if a part of its block is not known
// before apply. The environment describes one cluster, that of `kubernetes`. If `clusters` is set, it applies only if `kubernetes` is present.
func (m providerModel) toConnections(ctx context.Context, diags *diag.Diagnostics) map[string]*kube.Connection {
	connections := map[string]*kube.Connection{}
	if !m.Kubernetes.IsNull() || m.Clusters.IsNull() {
		connections[""] = toConnection(ctx, path.Root("kubernetes"), m.Kubernetes, true, diags)
	} else {
		connectionSettings{}.warnIgnored(path.Root("clusters"), readEnvironment(), diags)
	}
	for name, entry := range m.Clusters.Elements() {
		if object, ok := entry.(types.Object); ok {
			connections[name] = toConnection(ctx, path.Root("clusters").AtMapKey(name), object, false, diags)
		}
	}
	return connections
}

// toControlPlane converts the control_plane block.
func toControlPlane(ctx context.Context, block types.Object, diags *diag.Diagnostics) clients.ControlPlane {
	var m controlPlaneModel
	attribute.DecodeObject(ctx, block, &m, diags)
	plane := clients.ControlPlane{
		Directory:  valueOrEnvironment(m.Directory, "BRANE_CONTROL_PLANE_DIRECTORY"),
		Version:    infra.V06,
		BakesFiles: m.BraneVersion.ValueString() == "0.6.0",
		IsUnknown:  attribute.HasUnknown(block),
	}
	if v, err := infra.ParseVersion(m.BraneVersion.ValueString()); err == nil { // empty if it is not set; the schema rejects other values
		plane.Version = v
	}
	var secret secretModel
	if !m.KubernetesSecret.IsNull() && !attribute.HasUnknown(m.KubernetesSecret) && attribute.DecodeObject(ctx, m.KubernetesSecret, &secret, diags) {
		plane.SecretCluster, plane.SecretNamespace, plane.SecretName, plane.Directory = secret.Cluster, secret.Namespace.ValueString(), secret.Name.ValueString(), ""
	}
	return plane
}

// valueOrEnvironment returns the configured value, or that of the environment variable if none is configured.
func valueOrEnvironment(value types.String, variable string) string {
	if value.IsNull() {
		return os.Getenv(variable)
	}
	return value.ValueString()
}

// expandHome replaces a leading ~ by the home directory.
func expandHome(file string) string {
	if rest, ok := strings.CutPrefix(file, "~"); ok && (rest == "" || rest[0] == '/') {
		if dir, err := os.UserHomeDir(); err == nil {
			return filepath.Join(dir, rest)
		}
	}
	return file
}

// unnamedImageProblems returns what is wrong with an image reference without repeating it: an environment variable may contain a password by mistake.
func unnamedImageProblems(text string) []string {
	if len(attribute.ImageProblems(text)) == 0 {
		return nil
	}
	return []string{"it is not an image reference; write it as registry.example.org/team/image:tag"}
}

// braneVersion validates a version or release of Brane that runs on Kubernetes.
func braneVersion() validator.String {
	return attribute.NewStringRule("Brane version", func(text string) []string {
		if _, err := infra.ParseVersion(text); err != nil {
			return []string{err.Error()}
		}
		return nil
	})
}
