// Package provider speaks Terraform for the brane packages: schemas, plans, state and diagnostics. What is done to a cluster, to Brane's files
// or to Redis stands in internal/brane; here is only when, with which values, and what the user is told.
//
// A resource is two files, <name>_resource.go (schema and operations, always in the same order) and <name>_model.go (its values and their conversion).
package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/objectvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

var _ provider.Provider = &braneProvider{}

// New makes the provider; version is what it calls itself and which agent image it takes by default.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &braneProvider{version: version} }
}

type braneProvider struct {
	version string
}

func (p *braneProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "brane"
	resp.Version = p.version
}

func (p *braneProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Brings Kubernetes clusters under [Brane](https://github.com/BraneFramework/brane) and runs workflows of containers on them.",
		Attributes: map[string]schema.Attribute{
			"kubernetes":    kubernetesSchema(),
			"redis":         redisSchema(),
			"control_plane": controlPlaneSchema(),
			"agent_image": schema.StringAttribute{
				MarkdownDescription: "Image of the agent that carries files into and out of every step's container. The cluster's nodes pull it. " +
					"Environment: `BRANE_AGENT_IMAGE`. Default: the image published with this version of the provider.",
				Optional: true,
			},
		},
	}
}

func kubernetesSchema() schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Optional: true}
	}
	secret := func(description string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description, Optional: true, Sensitive: true}
	}
	return schema.SingleNestedAttribute{
		MarkdownDescription: "The cluster, and the account with which the provider makes namespaces there. Nothing is contacted before a resource needs it. " +
			"There is no fallback: without a file, a host or `in_cluster` nothing is dialled.",
		Optional: true,
		Attributes: map[string]schema.Attribute{
			"config_path":            text("Path of a kubeconfig file. `~` is the home folder. Environment: `KUBE_CONFIG_PATH`."),
			"config_context":         text("Context of the kubeconfig file. Environment: `KUBE_CTX`. Default: the file's current context."),
			"host":                   text("URL of the API server, for example `https://203.0.113.7:6443`. Environment: `KUBE_HOST`."),
			"token":                  secret("Bearer token. Environment: `KUBE_TOKEN`."),
			"client_certificate":     text("Client certificate, PEM. Environment: `KUBE_CLIENT_CERT_DATA`."),
			"client_key":             secret("Key of the client certificate, PEM. Environment: `KUBE_CLIENT_KEY_DATA`."),
			"cluster_ca_certificate": text("Certificate authority of the API server, PEM. Environment: `KUBE_CLUSTER_CA_CERT_DATA`."),
			"tls_server_name":        text("Name that the API server's certificate must have. Environment: `KUBE_TLS_SERVER_NAME`."),
			"proxy_url":              text("URL of an HTTP or SOCKS5 proxy. Environment: `KUBE_PROXY_URL`."),
			"insecure": schema.BoolAttribute{
				MarkdownDescription: "Do not check the API server's certificate. Environment: `KUBE_INSECURE`. Default: `false`.",
				Optional:            true,
			},
			"in_cluster": schema.BoolAttribute{
				MarkdownDescription: "Use the service account of the pod in which Terraform runs. Default: `false`.",
				Optional:            true,
			},
			"exec": schema.SingleNestedAttribute{
				MarkdownDescription: "Program that prints a credential (`client.authentication.k8s.io`).",
				Optional:            true,
				Attributes: map[string]schema.Attribute{
					"api_version": schema.StringAttribute{MarkdownDescription: "Version of the protocol, for example `client.authentication.k8s.io/v1`.", Required: true},
					"command":     schema.StringAttribute{MarkdownDescription: "The program.", Required: true},
					"args":        schema.ListAttribute{MarkdownDescription: "Its arguments.", ElementType: types.StringType, Optional: true},
					"env":         schema.MapAttribute{MarkdownDescription: "Variables added to its environment.", ElementType: types.StringType, Optional: true},
				},
			},
		},
	}
}

func redisSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "The Redis through which the files of workflow runs pass. It must not evict keys (`maxmemory-policy noeviction`).",
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"url": schema.StringAttribute{
				MarkdownDescription: "As this machine dials it: `redis://[user[:password]@]host[:port][/db]`, or `rediss://` for TLS. Environment: `BRANE_REDIS_URL`.",
				Optional:            true, Sensitive: true,
			},
			"cluster_url": schema.StringAttribute{
				MarkdownDescription: "As the steps' pods dial it. Environment: `BRANE_REDIS_CLUSTER_URL`. Default: `url`.",
				Optional:            true, Sensitive: true,
			},
		},
	}
}

func controlPlaneSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Where the Brane instance keeps `infra.yml` and `secrets.yml`: a folder, or a Secret that the instance mounts at `/config`. Exactly one.",
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"directory": schema.StringAttribute{
				MarkdownDescription: "The folder. Environment: `BRANE_CONFIG_DIR`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"brane_version": schema.StringAttribute{
				MarkdownDescription: "Version of the instance: `0.4`, `0.5` or `0.6`. Brane 0.4 and 0.5 bind the two files one by one into their containers, so the files are " +
					"written in place; for 0.6 each is replaced at once. Default: `0.6`.",
				Optional:   true,
				Validators: []validator.String{stringvalidator.OneOf(braneVersions()...)},
			},
			"kubernetes_secret": schema.SingleNestedAttribute{
				MarkdownDescription: "The Secret, in the cluster of `kubernetes`. It is made when it is not there.",
				Optional:            true,
				Validators:          []validator.Object{objectvalidator.ConflictsWith(path.MatchRelative().AtParent().AtName("directory"))},
				Attributes: map[string]schema.Attribute{
					"namespace": schema.StringAttribute{MarkdownDescription: "Its namespace.", Required: true},
					"name":      schema.StringAttribute{MarkdownDescription: "Its name.", Required: true},
				},
			},
		},
	}
}

func (p *braneProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var model providerModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &model)...)
	if resp.Diagnostics.HasError() {
		return
	}
	connections, diags := model.connections(ctx, p.version)
	resp.Diagnostics.Append(diags...)
	resp.ResourceData = connections
	resp.DataSourceData = connections
}

func (p *braneProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		newNamespaceResource,
		newInfrastructureResource,
		newWorkflowRunResource,
	}
}

func (p *braneProvider) DataSources(context.Context) []func() datasource.DataSource {
	return nil
}
