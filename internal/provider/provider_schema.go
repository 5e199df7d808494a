package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/objectvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

func kubernetesSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Connection to the cluster, and the credentials of the provider. The provider connects when a resource first needs the cluster. " +
			"Set one of `config_path`, `host` and `in_cluster`, here or in the environment: there is no default, and `KUBECONFIG` is not read. " +
			"Server, CA and identity come from that one source as a whole; settings that contradict it are errors. " +
			"If it is in this block, environment variables are ignored with a warning, except `KUBE_TOKEN` for a `host` without an identity.",
		Optional:   true,
		Attributes: clusterAttributes(orEnvironment),
	}
}

// orEnvironment returns the sentence about the environment variable that sets an attribute.
func orEnvironment(variable string) string {
	return " Can also be set with the `" + variable + "` environment variable."
}

func clustersSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "Connections to several clusters, by a name that `cluster` of a resource refers to. " +
			"`KUBE_*` environment variables are ignored here. If `clusters` is set, they apply to `kubernetes` only when that block is present (`kubernetes = {}` is enough). " +
			"An unreachable cluster affects only its own resources.",
		Optional:     true,
		Validators:   []validator.Map{mapvalidator.KeysAre(stringvalidator.LengthAtLeast(1))},
		NestedObject: schema.NestedAttributeObject{Attributes: clusterAttributes(func(string) string { return "" })},
	}
}

// clusterAttributes returns the attributes of a connection to a cluster. environment returns the sentence about the variable that sets an attribute, if any.
func clusterAttributes(environment func(variable string) string) map[string]schema.Attribute {
	text := func(description, variable string, rules ...validator.String) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description + environment(variable), Optional: true, Validators: rules}
	}
	secret := func(description, variable string, rules ...validator.String) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description + environment(variable), Optional: true, Sensitive: true, Validators: rules}
	}
	rate := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{MarkdownDescription: description, Optional: true, Validators: []validator.Int64{int64validator.AtLeast(1)}}
	}
	return map[string]schema.Attribute{
		"config_path":            text("Path of a kubeconfig file. A leading `~` is replaced by the home directory.", "KUBE_CONFIG_PATH"),
		"config_context":         text("Context of the kubeconfig file. Defaults to its current context.", "KUBE_CTX"),
		"host":                   text("URL of the API server, for example `https://203.0.113.7:6443`.", "KUBE_HOST", attribute.NewSecretRule("server URL", attribute.ServerURLProblems)),
		"token":                  secret("Bearer token.", "KUBE_TOKEN", attribute.NewSecretRule("token", attribute.HeaderValueProblems)),
		"client_certificate":     text("PEM-encoded client certificate.", "KUBE_CLIENT_CERT_DATA", attribute.NewSecretRule("certificate", attribute.CertificateProblems)),
		"client_key":             secret("PEM-encoded private key of the client certificate.", "KUBE_CLIENT_KEY_DATA", attribute.NewSecretRule("private key", attribute.PrivateKeyProblems)),
		"cluster_ca_certificate": text("PEM-encoded CA certificates that verify the API server. Defaults to the trusted root CAs of the system.", "KUBE_CLUSTER_CA_CERT_DATA", attribute.NewSecretRule("certificate", attribute.CertificateProblems)),
		"tls_server_name":        text("Server name that the certificate of the API server must match. Defaults to the host name in `host`.", "KUBE_TLS_SERVER_NAME", attribute.NewSecretRule("server name", attribute.ServerNameProblems)),
		"proxy_url":              text("URL of an HTTP or SOCKS5 proxy for the API server.", "KUBE_PROXY_URL", attribute.NewSecretRule("proxy URL", attribute.ProxyURLProblems)),
		"insecure": schema.BoolAttribute{
			MarkdownDescription: "Skip the verification of the API server's certificate. Defaults to `false`." + environment("KUBE_INSECURE"),
			Optional:            true,
		},
		"in_cluster": schema.BoolAttribute{
			MarkdownDescription: "Use the service account of the pod in which Terraform runs. Defaults to `false`.",
			Optional:            true,
		},
		"qps":   rate("Average number of requests per second to this cluster. Defaults to `100`."),
		"burst": rate("Number of requests that can be sent in a burst before `qps` applies. Defaults to `200`, or to `qps` if that is larger."),
		"exec": schema.SingleNestedAttribute{
			MarkdownDescription: "Exec credential plugin: a command that prints credentials, such as `aws eks get-token`.",
			Optional:            true,
			Attributes: map[string]schema.Attribute{
				"api_version": schema.StringAttribute{MarkdownDescription: "API version of the plugin's output, for example `client.authentication.k8s.io/v1`.", Required: true},
				"command":     schema.StringAttribute{MarkdownDescription: "Command to execute.", Required: true},
				"args":        schema.ListAttribute{MarkdownDescription: "Arguments of the command.", ElementType: types.StringType, Optional: true},
				"env":         schema.MapAttribute{MarkdownDescription: "Environment variables that are added to those of Terraform.", ElementType: types.StringType, Optional: true},
			},
		},
	}
}

func controlPlaneSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Where the Brane instance keeps `infra.yml` and `secrets.yml`: a directory, or a Secret that the instance mounts at `/config`. Set either `directory` or `kubernetes_secret`.",
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"directory": schema.StringAttribute{
				MarkdownDescription: "Path of the directory on the machine that runs Terraform." + orEnvironment("BRANE_CONTROL_PLANE_DIRECTORY") + " The variable is ignored if `kubernetes_secret` is set.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"brane_version": schema.StringAttribute{
				MarkdownDescription: "Version of the Brane instance: `0.4`, `0.5`, `0.6`, or one of their releases such as `0.6.0`. Defaults to `0.6`. " +
					"For 0.4 and 0.5, which mount each file into their containers, the files are written in place; for 0.6 each file is replaced atomically. " +
					"Brane 0.6.0 has the files in its images, which must be rebuilt after each change; a plan warns about this.",
				Optional:   true,
				Validators: []validator.String{braneVersion()},
			},
			"kubernetes_secret": schema.SingleNestedAttribute{
				MarkdownDescription: "Secret that holds the files. It is created if it does not exist; its namespace must exist. A Secret has at most 1 MiB, which is room for about 230 infrastructures; a directory has no limit.",
				Optional:            true,
				Validators:          []validator.Object{objectvalidator.ConflictsWith(path.MatchRelative().AtParent().AtName("directory"))},
				Attributes: map[string]schema.Attribute{
					"cluster":   schema.StringAttribute{MarkdownDescription: "Name of its cluster, a key of `clusters`. Defaults to the cluster of `kubernetes`.", Optional: true},
					"namespace": schema.StringAttribute{MarkdownDescription: "Namespace of the Secret.", Required: true},
					"name":      schema.StringAttribute{MarkdownDescription: "Name of the Secret.", Required: true},
				},
			},
		},
	}
}
