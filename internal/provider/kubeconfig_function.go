package provider

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/url"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
)

var _ function.Function = kubeconfigFunction{}

func newKubeconfigFunction() function.Function { return kubeconfigFunction{} }

// kubeconfigFunction asks nobody: the same arguments give the same text.
type kubeconfigFunction struct{}

func (kubeconfigFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "kubeconfig"
}

func (kubeconfigFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Writes a kubeconfig",
		MarkdownDescription: "Writes a kubeconfig of one cluster, one token and one context, as Brane and every other client reads it. It contacts nothing. The result is as secret as the token: " +
			"of a sensitive or ephemeral token comes a sensitive or ephemeral kubeconfig.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "address", MarkdownDescription: "`host:port` or URL of the API server."},
			function.StringParameter{Name: "ca", MarkdownDescription: "Certificate authority of the API server, PEM; empty for the authorities that the reader's machine trusts."},
			function.StringParameter{Name: "token", MarkdownDescription: "The token."},
			function.StringParameter{Name: "namespace", MarkdownDescription: "Namespace of the context."},
		},
		Return: function.StringReturn{},
	}
}

func (kubeconfigFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var address, ca, token, namespace string
	resp.Error = req.Arguments.Get(ctx, &address, &ca, &token, &namespace)
	if resp.Error != nil {
		return
	}
	server, err := url.Parse(serverURL(address))
	switch {
	case err != nil || server.Host == "" || server.Scheme != "https" || server.User != nil:
		resp.Error = function.NewArgumentFuncError(0, fmt.Sprintf("%q is neither host:port nor an https URL of an API server", address))
		return
	case ca != "" && !isPEM(ca):
		resp.Error = function.NewArgumentFuncError(1, "it holds no PEM certificate; give the file's text, not its path and not base64")
		return
	case token == "":
		resp.Error = function.NewArgumentFuncError(2, "it is empty")
		return
	case len(validation.IsDNS1123Label(namespace)) > 0:
		resp.Error = function.NewArgumentFuncError(3, fmt.Sprintf("%q is not the name of a namespace: %s", namespace, validation.IsDNS1123Label(namespace)[0]))
		return
	}
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: server.String(), CA: []byte(ca), Token: token, Namespace: namespace})
	if err == nil {
		_, err = credentials.Parse(kubeconfig) // what Brane could not read is refused here
	}
	if err != nil {
		resp.Error = function.NewFuncError(err.Error())
		return
	}
	resp.Error = resp.Result.Set(ctx, string(kubeconfig))
}

func isPEM(text string) bool {
	block, _ := pem.Decode([]byte(text))
	return block != nil && block.Type == "CERTIFICATE"
}
