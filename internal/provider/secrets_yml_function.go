package provider

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

func newSecretsYMLFunction() function.Function { return secretsYMLFunction{} }

// secretsYMLFunction asks nobody: the same arguments give the same text.
type secretsYMLFunction struct{}

func (secretsYMLFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "secrets_yml"
}

func (secretsYMLFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Writes secrets.yml for Brane 0.4 to 0.6",
		MarkdownDescription: "Writes a whole `secrets.yml` as Brane 0.4 to 0.6 reads it: kubeconfigs, encoded as Brane decodes them. A kubeconfig that Brane could not use is an error. " +
			"The result is as secret as the kubeconfigs: of sensitive or ephemeral ones comes a sensitive or ephemeral text.",
		Parameters: []function.Parameter{function.MapParameter{
			Name:                "kubeconfigs",
			MarkdownDescription: "The kubeconfigs by their names in `secrets.yml`: where `infra_yml` is not told otherwise, the locations' names.",
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
		kubeconfig := []byte(kubeconfigs[name])
		if _, err := credentials.Parse(kubeconfig); err != nil {
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
