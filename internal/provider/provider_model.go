package provider

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
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
	APIVersion string            `tfsdk:"api_version"`
	Command    string            `tfsdk:"command"`
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
	Namespace string       `tfsdk:"namespace"`
	Name      string       `tfsdk:"name"`
}

// hasUnknown reports whether a part of the configuration that any resource can need is not known before apply. Unknown values of one of several clusters only
// affect the resources in that cluster.
func (m providerModel) hasUnknown() bool {
	return attribute.HasUnknown(m.Kubernetes) || m.Clusters.IsUnknown() || attribute.HasUnknown(m.Redis) || attribute.HasUnknown(m.ControlPlane) || m.AgentImage.IsUnknown()
}

// toClients returns the clients that the configuration describes. Each connects when it is first used.
func (m providerModel) toClients(ctx context.Context, version string) (*clients.Clients, diag.Diagnostics) {
	var diags diag.Diagnostics
	c := &clients.Clients{AgentImage: valueOrEnvironment(m.AgentImage, "BRANE_AGENT_IMAGE")}
	if c.AgentImage == "" {
		c.AgentImage = releasedAgent + ":" + version
	}

	// The environment describes one cluster, that of `kubernetes`. If `clusters` is set, it applies only if `kubernetes` is present.
	if !m.Kubernetes.IsNull() || m.Clusters.IsNull() {
		c.AddCluster("", toConnection(ctx, path.Root("kubernetes"), m.Kubernetes, valueOrEnvironment, &diags))
	}
	c.NamesUnknown = m.Clusters.IsUnknown()
	for name, entry := range m.Clusters.Elements() {
		if object, ok := entry.(types.Object); ok {
			c.AddCluster(name, toConnection(ctx, path.Root("clusters").AtMapKey(name), object, valueOnly, &diags))
		}
	}

	c.Redis = toRedisServer(ctx, m.Redis, &diags)
	c.ControlPlane = toControlPlane(ctx, m.ControlPlane, &diags)
	return c, diags
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
		plane.SecretCluster, plane.SecretNamespace, plane.SecretName, plane.Directory = secret.Cluster, secret.Namespace, secret.Name, ""
	}
	return plane
}

// toConnection converts the block of one cluster. It returns nil if a part of the block is not known before apply. from returns a configured value, or that of
// the environment variable.
func toConnection(ctx context.Context, at path.Path, block types.Object, from func(types.String, string) string, diags *diag.Diagnostics) *kube.Connection {
	if attribute.HasUnknown(block) {
		return nil
	}
	var m kubernetesModel
	attribute.DecodeObject(ctx, block, &m, diags)
	c := kube.Connection{
		ConfigPath:           expandHome(from(m.ConfigPath, "KUBE_CONFIG_PATH")),
		ConfigContext:        from(m.ConfigContext, "KUBE_CTX"),
		Host:                 from(m.Host, "KUBE_HOST"),
		Token:                from(m.Token, "KUBE_TOKEN"),
		ClientCertificate:    from(m.ClientCertificate, "KUBE_CLIENT_CERT_DATA"),
		ClientKey:            from(m.ClientKey, "KUBE_CLIENT_KEY_DATA"),
		ClusterCACertificate: from(m.ClusterCACertificate, "KUBE_CLUSTER_CA_CERT_DATA"),
		TLSServerName:        from(m.TLSServerName, "KUBE_TLS_SERVER_NAME"),
		ProxyURL:             from(m.ProxyURL, "KUBE_PROXY_URL"),
		Insecure:             m.Insecure.ValueBool(),
		InCluster:            m.InCluster.ValueBool(),
		QPS:                  int(m.QPS.ValueInt64()),
		Burst:                int(m.Burst.ValueInt64()),
	}
	if text := from(types.StringNull(), "KUBE_INSECURE"); m.Insecure.IsNull() && text != "" {
		insecure, err := strconv.ParseBool(text)
		if err != nil {
			diags.AddAttributeError(at.AtName("insecure"), "Invalid KUBE_INSECURE",
				"The environment variable KUBE_INSECURE is not a boolean (true or false). Correct it, or set insecure in the kubernetes block of the provider.")
		}
		c.Insecure = insecure
	}
	var exec execModel
	if !m.Exec.IsNull() && attribute.DecodeObject(ctx, m.Exec, &exec, diags) {
		c.Exec = &kube.Exec{APIVersion: exec.APIVersion, Command: exec.Command, Args: exec.Args, Env: exec.Env}
	}
	return &c
}

// valueOrEnvironment returns the configured value, or that of the environment variable if none is configured.
func valueOrEnvironment(value types.String, variable string) string {
	if value.IsNull() {
		return os.Getenv(variable)
	}
	return value.ValueString()
}

// valueOnly returns the configured value. It ignores the environment, which does not name one of several clusters.
func valueOnly(value types.String, _ string) string { return value.ValueString() }

// expandHome replaces a leading ~ by the home directory.
func expandHome(file string) string {
	if rest, ok := strings.CutPrefix(file, "~"); ok && (rest == "" || rest[0] == '/') {
		if dir, err := os.UserHomeDir(); err == nil {
			return filepath.Join(dir, rest)
		}
	}
	return file
}

// braneVersion validates a version or release of Brane that runs on Kubernetes.
func braneVersion() validator.String {
	return attribute.NewStringRule("a version of Brane that runs on Kubernetes", func(text string) []string {
		if _, err := infra.ParseVersion(text); err != nil {
			return []string{err.Error()}
		}
		return nil
	})
}
