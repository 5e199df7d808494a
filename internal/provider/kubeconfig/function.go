package kubeconfig

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/url"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/redact"
)

var _ function.Function = kubeconfigFunction{}

// NewFunction returns the function `provider::brane::kubeconfig`.
func NewFunction() function.Function { return kubeconfigFunction{} }

// kubeconfigFunction connects to nothing: its result depends only on its arguments.
type kubeconfigFunction struct{}

func (kubeconfigFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "kubeconfig"
}

func (kubeconfigFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Returns a kubeconfig",
		MarkdownDescription: "Returns a kubeconfig with one cluster, one token and one context. The result contains the token: it is sensitive or ephemeral if the token is.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "address", MarkdownDescription: "`host:port` or URL of the API server."},
			function.StringParameter{Name: "ca", MarkdownDescription: "PEM-encoded CA certificates that verify the API server. Empty for the trusted root CAs of the machine that uses the kubeconfig."},
			function.StringParameter{Name: "token", MarkdownDescription: "Bearer token."},
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
		resp.Error = function.NewArgumentFuncError(0, fmt.Sprintf("%q is neither host:port nor an https URL of an API server", redact.HideUserInfo(address)))
		return
	case ca != "" && !isPEM(ca):
		resp.Error = function.NewArgumentFuncError(1, "does not contain a PEM certificate; pass the content of the file, not its path and not base64")
		return
	case token == "":
		resp.Error = function.NewArgumentFuncError(2, "must not be empty")
		return
	case len(validation.IsDNS1123Label(namespace)) > 0:
		resp.Error = function.NewArgumentFuncError(3, fmt.Sprintf("%q is not the name of a namespace: %s", redact.HideUserInfo(namespace), validation.IsDNS1123Label(namespace)[0]))
		return
	}
	kubeconfig, err := credentials.Render(credentials.Kubeconfig{Server: server.String(), CA: []byte(ca), Token: token, Namespace: namespace})
	if err == nil {
		_, err = credentials.Parse(kubeconfig) // Brane must be able to read it
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
