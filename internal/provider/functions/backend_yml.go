package functions

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/braneframework/terraform-provider-brane/internal/brane/infra"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
)

var _ function.Function = backendYMLFunction{}

// NewBackendYML returns the function `provider::brane::backend_yml`.
func NewBackendYML() function.Function { return backendYMLFunction{} }

// backendYMLFunction connects to nothing: its result depends only on its arguments.
type backendYMLFunction struct{}

func (backendYMLFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "backend_yml"
}

func (backendYMLFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "Returns a backend.yml for Brane 1 to 3",
		MarkdownDescription: "Returns the `backend.yml` of a Kubernetes worker in the format of Brane 1 and 2 or of Brane 3.\n\n" +
			"**No release of Brane 1.0 or later runs tasks on Kubernetes:** its services read this file and then reject the method. To run tasks on Kubernetes, use Brane 0.4 to 0.6 with " +
			"`brane_infrastructure`, or `brane_workflow_run`.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "version", MarkdownDescription: "Version of Brane: `1`, `2` or `3`, or one of their releases such as `3.0.0`."},
			function.DynamicParameter{
				Name: "backend",
				MarkdownDescription: "Object with `config`, the absolute path of a kubeconfig in the container of brane-job; `address` (`host:port` of the API server) for Brane 1 and 2, or `registry_address` " +
					"(`host:port` of an image registry) for Brane 3; and optionally `capabilities` (`[\"cuda_gpu\"]`) and, for Brane 2 and 3, `hash_containers`.",
			},
		},
		Return: function.StringReturn{},
	}
}

func (backendYMLFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var version string
	var backend types.Dynamic
	resp.Error = req.Arguments.Get(ctx, &version, &backend)
	if resp.Error != nil {
		return
	}
	if attribute.HasUnknown(backend) {
		resp.Error = resp.Result.Set(ctx, types.StringUnknown())
		return
	}
	r := newRecord("the backend", backend, "config", "address", "registry_address", "capabilities", "hash_containers")
	b := infra.Backend{
		Config: r.readString("config"), Address: r.readString("address"), RegistryAddress: r.readString("registry_address"),
		Capabilities: r.readStrings("capabilities"), HashContainers: r.readBool("hash_containers"),
	}
	if r.problem != nil {
		resp.Error = function.NewArgumentFuncError(1, r.problem.Error())
		return
	}
	text, err := b.Render(version)
	if err != nil {
		resp.Error = function.NewFuncError(err.Error())
		return
	}
	resp.Error = resp.Result.Set(ctx, string(text))
}
