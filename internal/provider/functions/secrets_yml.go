package functions

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/credentials"
	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
)

var _ function.Function = secretsYMLFunction{}

// NewSecretsYML returns the function `provider::brane::secrets_yml`.
func NewSecretsYML() function.Function { return secretsYMLFunction{} }

// secretsYMLFunction connects to nothing: its result depends only on its arguments.
type secretsYMLFunction struct{}

func (secretsYMLFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "secrets_yml"
}

func (secretsYMLFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Returns a secrets.yml for Brane 0.4 to 0.6",
		MarkdownDescription: "Returns a complete `secrets.yml` in the format of Brane 0.4 to 0.6. A kubeconfig that Brane cannot use is an error. " +
			"The result contains the kubeconfigs: it is sensitive or ephemeral if one of them is.",
		Parameters: []function.Parameter{function.MapParameter{
			Name:                "kubeconfigs",
			MarkdownDescription: "Kubeconfigs by their name in `secrets.yml`, which is `secret_name` of the location in `infra_yml`.",
			ElementType:         types.StringType,
		}},
		Return: function.StringReturn{},
	}
}

func (secretsYMLFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var kubeconfigs map[string]string
	resp.Error = req.Arguments.Get(ctx, &kubeconfigs)
	if resp.Error != nil {
		return
	}
	text, err := secretsYML(kubeconfigs)
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, err.Error())
		return
	}
	resp.Error = resp.Result.Set(ctx, text)
}

func secretsYML(kubeconfigs map[string]string) (string, error) {
	document := infra.NewSecrets()
	for _, name := range slices.Sorted(maps.Keys(kubeconfigs)) {
		parsed, err := credentials.Parse([]byte(kubeconfigs[name]))
		if err != nil {
			return "", fmt.Errorf("secret %q: %w", name, err)
		}
		kubeconfig, err := credentials.Render(*parsed) // in a form that Brane's readers accept
		if err != nil {
			return "", fmt.Errorf("secret %q: %w", name, err)
		}
		if err := document.SetKubeconfig(name, kubeconfig); err != nil {
			return "", err
		}
	}
	if len(kubeconfigs) == 0 {
		return "{}\n", nil
	}
	return string(document.Bytes()), nil
}
