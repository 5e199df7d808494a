package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
)

func redisSchema() schema.Attribute {
	together := func(other string) []validator.String {
		return []validator.String{stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName(other))}
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "The Redis (7.0 or later) through which the files of workflow runs pass. It must not evict keys (`maxmemory-policy noeviction`). " +
			"It is asked on first use whether it answers, lets us in, gives us the rights we need and keeps what it is given.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"url": schema.StringAttribute{
				MarkdownDescription: "As this machine dials it: `redis://[user[:password]@]host[:port][/db]`, port 6379 and database 0 by default. `rediss` in the place of `redis` is TLS, in the other forms as well. " +
					"A Cluster is `redis+cluster://user:password@host:6379?addr=host2:6379&addr=host3:6379`; one of its nodes will do, `addr` names more for when that one is away. " +
					"A Sentinel group is `redis+sentinel://user:password@host:26379/0?master=name&addr=host2:26379&sentinel_username=user&sentinel_password=password`: the hosts are sentinels, port 26379 by default; " +
					"`user:password` is for the servers, `sentinel_username` and `sentinel_password` are for the sentinels, where they want one. " +
					"Special characters of user names and passwords are percent-encoded: `p@ss/word` is `p%40ss%2Fword`. " +
					"With TLS the certificate of each server, also of those that a Cluster or sentinels tell of, has to be for the host at which it is dialled. Environment: `BRANE_REDIS_URL`.",
				Optional: true, Sensitive: true,
			},
			"pod_url": schema.StringAttribute{
				MarkdownDescription: "As the steps' pods dial it, in the same forms. Environment: `BRANE_REDIS_POD_URL`. Default: the infrastructure's `mount_dfs` with the user and password of `url`, or `url` itself.",
				Optional:            true, Sensitive: true,
			},
			"password": schema.StringAttribute{
				MarkdownDescription: "Password for `url` and `pod_url`, where they hold none; as it is, not percent-encoded. Environment: `BRANE_REDIS_PASSWORD`.",
				Optional:            true, Sensitive: true,
			},
			"ca_certificate": schema.StringAttribute{
				MarkdownDescription: "Authority that signed the server's certificate, PEM; for this machine and for the pods. Default: the system's authorities. Environment: `BRANE_REDIS_CA_CERTIFICATE`.",
				Optional:            true,
			},
			"client_certificate": schema.StringAttribute{
				MarkdownDescription: "Certificate by which this machine and the pods show the server who they are, PEM. Environment: `BRANE_REDIS_CLIENT_CERTIFICATE`.",
				Optional:            true,
				Validators:          together("client_key"),
			},
			"client_key": schema.StringAttribute{
				MarkdownDescription: "Its key, PEM. Environment: `BRANE_REDIS_CLIENT_KEY`.",
				Optional:            true, Sensitive: true,
				Validators: together("client_certificate"),
			},
			"allow_eviction": schema.BoolAttribute{
				MarkdownDescription: "Use a Redis that may drop keys when its memory is full, with a warning instead of an error. A run whose files are dropped fails. Default: `false`.",
				Optional:            true,
			},
			"acl_users": schema.StringAttribute{
				MarkdownDescription: "Whether each run gets a Redis user of its own, which its pods have in the place of yours and which reaches the run's keys alone: `auto` makes one and goes on without where " +
					"the server makes none, as managed services do; `require` fails there; `off` makes none. The user of `url` needs `+acl|setuser +acl|getuser +acl|deluser`. Default: `auto`.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.OneOf(string(workflow.UsersAuto), string(workflow.UsersRequire), string(workflow.UsersOff))},
			},
			"port_forward": portForwardSchema(),
		},
	}
}

func portForwardSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Reaches a Redis inside a cluster through its API server, like `kubectl port-forward` but without a port of this machine. The host in `url` is then not dialled: " +
			"it only counts for the server's certificate. For one server, not for a Cluster or Sentinel group. The provider's account needs `create` on `pods/portforward`, and with `service` also `get` on `services` and `list` on `pods`.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"cluster":   schema.StringAttribute{MarkdownDescription: "Name of the cluster, one of `clusters`. Default: the cluster of `kubernetes`.", Optional: true},
			"namespace": schema.StringAttribute{MarkdownDescription: "Namespace of the Service or pod.", Required: true, Validators: []validator.String{stringvalidator.LengthAtLeast(1)}},
			"service": schema.StringAttribute{
				MarkdownDescription: "Name of the Service; any of its ready pods will do. Either this or `pod`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.ExactlyOneOf(path.MatchRelative().AtParent().AtName("pod"))},
			},
			"pod": schema.StringAttribute{MarkdownDescription: "Name of the pod.", Optional: true},
			"port": schema.Int64Attribute{
				MarkdownDescription: "Port of the Service or of the pod. Default: `6379`.",
				Optional:            true,
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
		},
	}
}
