package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

func redisSchema() schema.Attribute {
	together := func(other string) []validator.String {
		return []validator.String{stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName(other))}
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "The Redis (7.0 or later) that stores the files of workflow runs. It must not evict keys (`maxmemory-policy noeviction`). " +
			"On first use the provider verifies connectivity, authentication, ACL permissions and the eviction policy. " +
			"Each pod has two connections while its command runs, and `pod_connections` and two more while it reads or stores files (per server of a Redis Cluster): `maxclients` of Redis limits how many pods can run at the same time.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"url": schema.StringAttribute{
				MarkdownDescription: "URL to which the provider connects: `redis://[user[:password]@]host[:port][/db]`, or `rediss://` for TLS. " +
					"[Redis URLs](#redis-urls) describes the forms for Redis Cluster and Sentinel." + orEnvironment("BRANE_REDIS_URL"),
				Optional: true, Sensitive: true,
				Validators: []validator.String{attribute.NewSecretRule("Redis URL", attribute.RedisURLProblems)},
			},
			"pod_url": schema.StringAttribute{
				MarkdownDescription: "URL to which the pods of steps connect, in the same forms. Defaults to `mount_dfs` of the infrastructure, with the user and password of `url` unless it contains a user; without `mount_dfs`, to `url`." + orEnvironment("BRANE_REDIS_POD_URL"),
				Optional:            true, Sensitive: true,
				Validators: []validator.String{attribute.NewSecretRule("Redis URL", attribute.RedisURLProblems)},
			},
			"password": schema.StringAttribute{
				MarkdownDescription: "Password for `url` and `pod_url` if they contain none. It is not percent-encoded." + orEnvironment("BRANE_REDIS_PASSWORD"),
				Optional:            true, Sensitive: true,
			},
			"ca_certificate": schema.StringAttribute{
				MarkdownDescription: "PEM-encoded CA certificates that verify the server, used by the provider and by the pods of steps. Defaults to the trusted root CAs of the system." + orEnvironment("BRANE_REDIS_CA_CERTIFICATE"),
				Optional:            true,
				Validators:          []validator.String{attribute.NewSecretRule("certificate", attribute.CertificateProblems)},
			},
			"client_certificate": schema.StringAttribute{
				MarkdownDescription: "PEM-encoded client certificate for mutual TLS, used by the provider and by the pods of steps." + orEnvironment("BRANE_REDIS_CLIENT_CERTIFICATE"),
				Optional:            true,
				Validators:          append(together("client_key"), attribute.NewSecretRule("certificate", attribute.CertificateProblems)),
			},
			"client_key": schema.StringAttribute{
				MarkdownDescription: "PEM-encoded private key of the client certificate." + orEnvironment("BRANE_REDIS_CLIENT_KEY"),
				Optional:            true, Sensitive: true,
				Validators: append(together("client_certificate"), attribute.NewSecretRule("private key", attribute.PrivateKeyProblems)),
			},
			"allow_eviction": schema.BoolAttribute{
				MarkdownDescription: "Accept a Redis that can evict keys when its memory is full, with a warning instead of an error. A run whose files are evicted fails. Defaults to `false`.",
				Optional:            true,
			},
			"acl_users": schema.StringAttribute{
				MarkdownDescription: "Create a Redis ACL user for each run that has access to the keys of that run only, and give pods its credentials instead of those of `url`. " +
					"`auto`: create one if the server allows it; `require`: fail if it does not; `off`: never. Defaults to `auto`. " +
					"Many managed services do not allow it; pods then receive the credentials of `pod_url`. The user of `url` needs `+acl|setuser +acl|getuser +acl|deluser`.",
				Optional:   true,
				Validators: []validator.String{attribute.OneOf(string(workflow.UsersAuto), string(workflow.UsersRequire), string(workflow.UsersOff))},
			},
			"pod_connections": schema.Int64Attribute{
				MarkdownDescription: "Number of connections on which a pod reads or stores files, from 1 to 8. Fewer leave more of `maxclients` to other pods; more are seldom faster. Defaults to `4`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, 8)},
			},
			"port_forward": portForwardSchema(),
		},
	}
}

func portForwardSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Connect to a Redis inside a cluster through the API server, like `kubectl port-forward` but without a local port. The host in `url` is then used only to verify the " +
			"certificate of the server. Not available for Redis Cluster and Sentinel. The credentials of the provider need `create` on `pods/portforward`, and with `service` also `get` on `services` and `list` on `pods`.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"cluster":   schema.StringAttribute{MarkdownDescription: "Name of the cluster, a key of `clusters`. Defaults to the cluster of `kubernetes`.", Optional: true},
			"namespace": schema.StringAttribute{MarkdownDescription: "Namespace of the Service or pod.", Required: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
			"service": schema.StringAttribute{
				MarkdownDescription: "Name of the Service. The provider connects to one of its ready pods. Conflicts with `pod`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.ExactlyOneOf(path.MatchRelative().AtParent().AtName("pod"))},
			},
			"pod": schema.StringAttribute{MarkdownDescription: "Name of the pod.", Optional: true},
			"port": schema.Int64Attribute{
				MarkdownDescription: "Port of the Service or pod. Defaults to `6379`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
		},
	}
}
