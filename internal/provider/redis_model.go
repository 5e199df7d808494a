package provider

import (
	"context"
	"net/url"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/clients"
)

type redisModel struct {
	URL               types.String `tfsdk:"url"`
	PodURL            types.String `tfsdk:"pod_url"`
	Password          types.String `tfsdk:"password"`
	CACertificate     types.String `tfsdk:"ca_certificate"`
	ClientCertificate types.String `tfsdk:"client_certificate"`
	ClientKey         types.String `tfsdk:"client_key"`
	AllowEviction     types.Bool   `tfsdk:"allow_eviction"`
	ACLUsers          types.String `tfsdk:"acl_users"`
	PodConnections    types.Int64  `tfsdk:"pod_connections"`
	PortForward       types.Object `tfsdk:"port_forward"`
}

type portForwardModel struct {
	Cluster   types.String `tfsdk:"cluster"`
	Namespace types.String `tfsdk:"namespace"`
	Service   types.String `tfsdk:"service"`
	Pod       types.String `tfsdk:"pod"`
	Port      types.Int64  `tfsdk:"port"`
}

// redisPort is the default port of Redis.
const redisPort = 6379

// toRedisServer converts the redis block.
func toRedisServer(ctx context.Context, block types.Object, diags *diag.Diagnostics) clients.RedisServer {
	var m redisModel
	attribute.DecodeObject(ctx, block, &m, diags)
	password := valueOrEnvironment(m.Password, "BRANE_REDIS_PASSWORD")
	r := clients.RedisServer{
		URL:    withPassword(valueOrEnvironment(m.URL, "BRANE_REDIS_URL"), password),
		PodURL: withPassword(valueOrEnvironment(m.PodURL, "BRANE_REDIS_POD_URL"), password),
		Certificates: files.Certificates{
			CA:   []byte(valueOrEnvironment(m.CACertificate, "BRANE_REDIS_CA_CERTIFICATE")),
			Cert: []byte(valueOrEnvironment(m.ClientCertificate, "BRANE_REDIS_CLIENT_CERTIFICATE")),
			Key:  []byte(valueOrEnvironment(m.ClientKey, "BRANE_REDIS_CLIENT_KEY")),
		},
		AllowEviction:  m.AllowEviction.ValueBool(),
		Users:          workflow.RedisUsers(m.ACLUsers.ValueString()),
		PodConnections: int(m.PodConnections.ValueInt64()),
		IsUnknown:      attribute.HasUnknown(block),
	}
	for variable, rule := range map[string]struct {
		attribute string
		isSet     bool
		value     []byte
		problems  func(string) []string
	}{
		"BRANE_REDIS_URL":                {"url", !m.URL.IsNull(), []byte(valueOrEnvironment(m.URL, "BRANE_REDIS_URL")), attribute.RedisURLProblems},
		"BRANE_REDIS_POD_URL":            {"pod_url", !m.PodURL.IsNull(), []byte(valueOrEnvironment(m.PodURL, "BRANE_REDIS_POD_URL")), attribute.RedisURLProblems},
		"BRANE_REDIS_CA_CERTIFICATE":     {"ca_certificate", !m.CACertificate.IsNull(), r.Certificates.CA, attribute.CertificateProblems},
		"BRANE_REDIS_CLIENT_CERTIFICATE": {"client_certificate", !m.ClientCertificate.IsNull(), r.Certificates.Cert, attribute.CertificateProblems},
		"BRANE_REDIS_CLIENT_KEY":         {"client_key", !m.ClientKey.IsNull(), r.Certificates.Key, attribute.PrivateKeyProblems},
	} {
		if !rule.isSet { // the schema validates the attributes
			checkVariable(path.Root("redis").AtName(rule.attribute), "the environment variable "+variable, string(rule.value), rule.problems, diags)
		}
	}
	if m.ClientCertificate.IsNull() && m.ClientKey.IsNull() && (len(r.Certificates.Cert) == 0) != (len(r.Certificates.Key) == 0) {
		diags.AddAttributeError(path.Root("redis").AtName("client_certificate"), "Invalid environment variable",
			"Only one of the environment variables BRANE_REDIS_CLIENT_CERTIFICATE and BRANE_REDIS_CLIENT_KEY is set. A client certificate needs its key: set both or unset both.")
	}
	var f portForwardModel
	if !m.PortForward.IsNull() && !attribute.HasUnknown(m.PortForward) && attribute.DecodeObject(ctx, m.PortForward, &f, diags) {
		r.ForwardCluster = f.Cluster
		r.Forward = &kube.Forward{Namespace: f.Namespace.ValueString(), Service: f.Service.ValueString(), Pod: f.Pod.ValueString(), Port: redisPort}
		if !f.Port.IsNull() {
			r.Forward.Port = int(f.Port.ValueInt64())
		}
	}
	return r
}

// withPassword adds a password to a Redis URL that contains none. An invalid URL is returned as it is; connecting to it fails.
func withPassword(address, password string) string {
	parsed, err := url.Parse(address)
	if err != nil || address == "" || password == "" {
		return address
	}
	if _, found := parsed.User.Password(); found {
		return address
	}
	parsed.User = url.UserPassword(parsed.User.Username(), password)
	return parsed.String()
}
