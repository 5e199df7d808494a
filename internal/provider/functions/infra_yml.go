package functions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

var _ function.Function = infraYMLFunction{}

// NewInfraYML returns the function `provider::brane::infra_yml`.
func NewInfraYML() function.Function { return infraYMLFunction{} }

// infraYMLFunction connects to nothing: its result depends only on its arguments.
type infraYMLFunction struct{}

func (infraYMLFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "infra_yml"
}

func (infraYMLFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Returns an infra.yml for Brane 0.4 to 0.6",
		MarkdownDescription: "Returns a complete `infra.yml` in the format of Brane 0.4 to 0.6, for instances whose files are not managed by this provider. All values are validated as in " +
			"`brane_infrastructure`. The kubeconfigs are in `secrets.yml`, which `secrets_yml` returns. Brane 1.0 and later use another format, and do not run tasks on Kubernetes.",
		Parameters: []function.Parameter{function.DynamicParameter{
			Name: "locations",
			MarkdownDescription: "Locations by name. Each is an object with `address`, `callback_to`, `namespace` and `registry`, and optionally `proxy_address`, `mount_dfs` and " +
				"`secret_name` (defaults to the name of the location), as in `brane_infrastructure`.",
		}},
		Return: function.StringReturn{},
	}
}

func (infraYMLFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var locations types.Dynamic
	resp.Error = req.Arguments.Get(ctx, &locations)
	if resp.Error != nil {
		return
	}
	if attribute.HasUnknown(locations) {
		resp.Error = resp.Result.Set(ctx, types.StringUnknown())
		return
	}
	text, err := infraYML(locations)
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, err.Error())
		return
	}
	resp.Error = resp.Result.Set(ctx, text)
}

func infraYML(locations types.Dynamic) (string, error) {
	all, ok := objectFields(locations)
	if !ok {
		return "", errors.New("the locations must be a map of objects")
	}
	document := infra.NewInfra()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		r := newRecord(fmt.Sprintf("location %q", name), all[name],
			"address", "callback_to", "namespace", "registry", "proxy_address", "mount_dfs", "secret_name")
		location := infra.Location{
			Name: name, Address: r.readString("address"), CallbackTo: r.readString("callback_to"), Namespace: r.readString("namespace"), Registry: r.readString("registry"),
			ProxyAddress: r.readString("proxy_address"), MountDFS: r.readString("mount_dfs"), SecretName: r.readString("secret_name"),
		}
		if r.problem != nil {
			return "", r.problem
		}
		if err := document.Set(location); err != nil {
			return "", err
		}
	}
	if len(all) == 0 {
		return "locations: {}\n", nil
	}
	return string(document.Bytes()), nil
}
