package workflowrun

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"
	"golang.org/x/sync/errgroup"

	"github.com/braneframework/terraform-provider-brane/internal/brane/image"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// planLookup limits how long a plan waits for registries: it works without them, and must not hang if they cannot be reached.
const planLookup = 10 * time.Second

// planImages pins the images of the steps of a graph that have no command. If a registry does not answer, the image stays as it is in the state, because a plan
// has to work without registries; if there is no state, the apply reads the image, and the id of the run is unknown until then.
func (m *workflowRunModel) planImages(ctx context.Context, graph workflow.Graph, state workflowRunModel, env environment) {
	steps := withoutCommand(graph)
	limited, done := context.WithTimeout(ctx, planLookup)
	defer done()
	found, errs := lookUp(limited, steps)
	var before []workflow.Step
	if len(errs) > 0 && !state.Steps.IsNull() {
		before = withoutCommand(state.decodeGraph(ctx, env, &diag.Diagnostics{})) // it was valid when it was applied
	}
	for name, err := range errs {
		tflog.Warn(ctx, "image not looked up", map[string]any{"step": name, "error": err.Error()})
		same := imageOf(before, name) == imageOf(steps, name)
		pin, ok := state.Images.Elements()[name].(types.String)
		if !same || !ok {
			m.Images = types.MapUnknown(types.StringType)
			return
		}
		found[name] = image.Image{Pinned: pin.ValueString()}
	}
	m.setImages(found)
}

// pinImages pins the images that the plan could not pin; an image that cannot be read is an error on its step.
func (m *workflowRunModel) pinImages(ctx context.Context, graph workflow.Graph, diags *diag.Diagnostics) {
	if m.Images.IsUnknown() {
		m.setImages(lookUpAll(ctx, withoutCommand(graph), diags))
	}
}

// withPinnedImages returns the graph with the pinned images of the steps that have no command.
func (m workflowRunModel) withPinnedImages(graph workflow.Graph) workflow.Graph {
	images := map[string]string{}
	for _, step := range withoutCommand(graph) {
		if pin, ok := m.Images.Elements()[step.Name].(types.String); ok {
			images[step.Name] = pin.ValueString()
		}
	}
	return graph.WithImages(images)
}

func (m *workflowRunModel) setImages(found map[string]image.Image) {
	pins := map[string]attr.Value{}
	for name, image := range found {
		pins[name] = types.StringValue(image.Pinned)
	}
	m.Images = types.MapValueMust(types.StringType, pins)
}

// resolveCommands sets the commands of the steps that have none to those of their images. It is called after the run's id is computed, which depends on the
// digests of the images only.
func resolveCommands(ctx context.Context, graph workflow.Graph, diags *diag.Diagnostics) workflow.Graph {
	found := lookUpAll(ctx, withoutCommand(graph), diags)
	if len(found) == 0 {
		return graph
	}
	steps := graph.All()
	for i, step := range steps {
		image, ok := found[step.Name]
		if !ok {
			continue
		}
		// As in Kubernetes, the step's arguments replace those of the image.
		steps[i].Command = image.Entrypoint
		if len(step.Args) == 0 {
			steps[i].Command = image.Program()
		}
		if len(steps[i].Command)+len(step.Args) == 0 {
			diags.AddAttributeError(path.Root("steps").AtMapKey(step.Name), "Missing command",
				fmt.Sprintf("Step %q has no command, and its image %s has no entry point and no command. Set command.", step.Name, image.Pinned))
		}
	}
	complete, err := workflow.NewGraph(steps)
	if err != nil {
		diags.AddError("Invalid step configuration", err.Error()) // they were valid before, and commands do not change that
	}
	return complete
}

func withoutCommand(graph workflow.Graph) []workflow.Step {
	return slices.DeleteFunc(graph.All(), func(step workflow.Step) bool { return len(step.Command) > 0 })
}

func imageOf(steps []workflow.Step, name string) string {
	for _, step := range steps {
		if step.Name == name {
			return step.Image
		}
	}
	return ""
}

// lookUpAll reads the images of the steps and reports each one that cannot be read.
func lookUpAll(ctx context.Context, steps []workflow.Step, diags *diag.Diagnostics) map[string]image.Image {
	found, errs := lookUp(ctx, steps)
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		diags.AddAttributeError(path.Root("steps").AtMapKey(name), "Failed to read image",
			diagnostic.ErrorDetail(fmt.Sprintf("Step %q has no command. Reading the entry point of its image from the registry", name), errs[name])+
				"\n\nSet command, or log in to the registry on the machine that runs Terraform (docker login): the provider uses the credentials of docker and podman.")
	}
	return found
}

// lookUp reads the images of the steps from their registries, each image once.
func lookUp(ctx context.Context, steps []workflow.Step) (found map[string]image.Image, errs map[string]error) {
	type answer struct {
		image image.Image
		err   error
	}
	answers := map[string]*answer{}
	for _, step := range steps {
		answers[step.Image] = &answer{}
	}
	var group errgroup.Group
	group.SetLimit(8)
	for reference, answer := range answers {
		group.Go(func() error {
			answer.image, answer.err = image.Lookup(ctx, reference)
			return nil // the errors are returned by step
		})
	}
	_ = group.Wait() // the functions return no errors
	found, errs = map[string]image.Image{}, map[string]error{}
	for _, step := range steps {
		if answer := answers[step.Image]; answer.err != nil {
			errs[step.Name] = answer.err
		} else {
			found[step.Name] = answer.image
		}
	}
	return found, errs
}
