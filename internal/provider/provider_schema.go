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
)

func kubernetesSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "The cluster, and the account with which the provider makes namespaces there. Nothing is contacted before a resource needs it. " +
			"There is no fallback: without a file, a host or `in_cluster` nothing is dialled.",
		Optional:   true,
		Attributes: clusterAttributes(func(variable string) string { return " Environment: `" + variable + "`." }),
	}
}

func clustersSchema() schema.Attribute {
	return schema.MapNestedAttribute{
		MarkdownDescription: "Any number of clusters by names of your own, beside `kubernetes` or instead of it; `cluster = \"name\"` on a resource chooses one, so `for_each` works over " +
			"clusters. The environment variables of `kubernetes` do not count here, and where there is `clusters` they count for `kubernetes` only if that is written, be it as `{}`. " +
			"A cluster that cannot be reached is in the way only of what is in it.",
		Optional:     true,
		Validators:   []validator.Map{mapvalidator.KeysAre(stringvalidator.LengthAtLeast(1))},
		NestedObject: schema.NestedAttributeObject{Attributes: clusterAttributes(func(string) string { return "" })},
	}
}

// clusterAttributes say how to reach a cluster; environment is the sentence about a variable that may stand in for an attribute.
func clusterAttributes(environment func(variable string) string) map[string]schema.Attribute {
	text := func(description, variable string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description + environment(variable), Optional: true}
	}
	secret := func(description, variable string) schema.StringAttribute {
		return schema.StringAttribute{MarkdownDescription: description + environment(variable), Optional: true, Sensitive: true}
	}
	rate := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{MarkdownDescription: description, Optional: true, Validators: []validator.Int64{int64validator.AtLeast(1)}}
	}
	return map[string]schema.Attribute{
		"config_path":            text("Path of a kubeconfig file. `~` is the home folder.", "KUBE_CONFIG_PATH"),
		"config_context":         text("Context of the kubeconfig file. Default: the file's current context.", "KUBE_CTX"),
		"host":                   text("URL of the API server, for example `https://203.0.113.7:6443`.", "KUBE_HOST"),
		"token":                  secret("Bearer token.", "KUBE_TOKEN"),
		"client_certificate":     text("Client certificate, PEM.", "KUBE_CLIENT_CERT_DATA"),
		"client_key":             secret("Key of the client certificate, PEM.", "KUBE_CLIENT_KEY_DATA"),
		"cluster_ca_certificate": text("Certificate authority of the API server, PEM.", "KUBE_CLUSTER_CA_CERT_DATA"),
		"tls_server_name":        text("Name that the API server's certificate must have.", "KUBE_TLS_SERVER_NAME"),
		"proxy_url":              text("URL of an HTTP or SOCKS5 proxy.", "KUBE_PROXY_URL"),
		"insecure": schema.BoolAttribute{
			MarkdownDescription: "Do not check the API server's certificate. Default: `false`." + environment("KUBE_INSECURE"),
			Optional:            true,
		},
		"in_cluster": schema.BoolAttribute{
			MarkdownDescription: "Use the service account of the pod in which Terraform runs. Default: `false`.",
			Optional:            true,
		},
		"qps":   rate("Requests a second to this cluster, on average. Default: `100`."),
		"burst": rate("Requests that may go out at once before `qps` holds. Default: `200`."),
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
	}
}

func controlPlaneSchema() schema.Attribute {
	return schema.SingleNestedAttribute{
		MarkdownDescription: "Where the Brane instance keeps `infra.yml` and `secrets.yml`: a folder, or a Secret that the instance mounts at `/config`. Exactly one.",
		Optional:            true,
		Attributes: map[string]schema.Attribute{
			"directory": schema.StringAttribute{
				MarkdownDescription: "The folder. Environment: `BRANE_CONTROL_PLANE_DIRECTORY`.",
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"brane_version": schema.StringAttribute{
				MarkdownDescription: "Version of the instance: `0.4`, `0.5` or `0.6`, or a release of them like `0.6.0`. Brane 0.4 and 0.5 bind the two files one by one into their containers, so the files are " +
					"written in place; for 0.6 each is replaced at once. Brane 0.6.0 has the files in its images and must be built again after each change: a plan warns of it. Default: `0.6`.",
				Optional:   true,
				Validators: []validator.String{braneVersion()},
			},
			"kubernetes_secret": schema.SingleNestedAttribute{
				MarkdownDescription: "The Secret. It is made when it is not there.",
				Optional:            true,
				Validators:          []validator.Object{objectvalidator.ConflictsWith(path.MatchRelative().AtParent().AtName("directory"))},
				Attributes: map[string]schema.Attribute{
					"cluster":   schema.StringAttribute{MarkdownDescription: "Name of its cluster, one of `clusters`. Default: the cluster of `kubernetes`.", Optional: true},
					"namespace": schema.StringAttribute{MarkdownDescription: "Its namespace.", Required: true},
					"name":      schema.StringAttribute{MarkdownDescription: "Its name.", Required: true},
				},
			},
		},
	}
}
