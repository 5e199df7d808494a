package namespace

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"
	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"

	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
	"github.com/braneframework/terraform-provider-brane/internal/provider/attribute"
	"github.com/braneframework/terraform-provider-brane/internal/provider/diagnostic"
)

// warnUnsuitable warns about settings with which Brane's own Jobs cannot run, if the plan introduces them. They are right for a namespace
// in which only steps of brane_workflow_run are to run, so that they are no errors, and the warning is not repeated in every plan.
func warnUnsuitable(ctx context.Context, req resource.ModifyPlanRequest, diags *diag.Diagnostics) {
	if !req.State.Raw.IsNull() && req.Plan.Raw.Equal(req.State.Raw) {
		return
	}
	var before diag.Diagnostics
	if !req.State.Raw.IsNull() {
		before = findUnsuitable(ctx, req.State, diags)
	}
	for _, warning := range findUnsuitable(ctx, req.Plan, diags) {
		if !before.Contains(warning) {
			diags.Append(warning)
		}
	}
}

// attributes is a plan or a state.
type attributes interface {
	GetAttribute(ctx context.Context, path path.Path, target any) diag.Diagnostics
}

// findUnsuitable returns the warnings about a plan or a state; diags gets errors of decoding.
func findUnsuitable(ctx context.Context, from attributes, diags *diag.Diagnostics) diag.Diagnostics {
	var found diag.Diagnostics
	warn := func(at path.Path, detail string) {
		found.AddAttributeWarning(at, "Jobs of Brane cannot run in this namespace", fmt.Sprintf("%s: %s", at, detail))
	}
	get := func(into any, at path.Path) { diags.Append(from.GetAttribute(ctx, at, into)...) }

	var level types.String
	enforce := path.Root("pod_security").AtName("enforce")
	get(&level, enforce)
	if value := level.ValueString(); value != "" && value != namespace.PodSecurityLevels()[0] {
		warn(enforce, fmt.Sprintf("the Jobs of Brane 0.4 to 0.6 run privileged containers, which the level %q rejects. "+
			"If Brane itself is to submit Jobs to this namespace, set privileged. Steps of brane_workflow_run are not privileged.", value))
	}

	var quota types.Map
	get(&quota, path.Root("resource_quota"))
	var limits types.Object // an attribute of an object that is not known is null
	get(&limits, path.Root("limit_range"))
	defaults := map[string]types.Map{}
	for _, name := range []string{"default", "default_request", "max", "min"} {
		var of types.Map
		get(&of, path.Root("limit_range").AtName(name))
		defaults[name] = of
	}
	if missing := findMissingDefaults(quota, defaults); len(missing) > 0 && !limits.IsUnknown() {
		warn(path.Root("resource_quota"), "with this quota, Kubernetes rejects every container that does not set the resources that it limits. "+
			"The Jobs of Brane set none, and steps of brane_workflow_run only with resources. Set their defaults:\n"+diagnostic.BulletList(missing))
	}

	if problem := findEngineProblem(ctx, quota, defaults); problem != "" {
		found.AddAttributeWarning(path.Root("limit_range"), "Runs inside the cluster cannot start in this namespace", fmt.Sprintf(
			"With limit_range and resource_quota of this namespace, brane_workflow_run with wait = false cannot start, because of the container of its engine: %s. Runs with wait = true need no engine.", problem))
	}

	var policy types.Object
	get(&policy, path.Root("network_policy"))
	var egress types.Map
	get(&egress, path.Root("network_policy").AtName("egress"))
	if !policy.IsNull() && !policy.IsUnknown() && !egress.IsUnknown() && !hasObjectStore(ctx, egress) {
		warn(path.Root("network_policy"), "no entry of egress appears to be the object store of JuiceFS (for example MinIO, port 9000). "+
			"If Jobs of Brane in this namespace are to read files (mount_dfs of brane_infrastructure), they need it in addition to Redis and the "+
			"callback service: add an entry such as object-store. Steps of brane_workflow_run do not need it.")
	}
	return found
}

// findMissingDefaults returns the defaults of a limit range that a quota needs, in sentences. In contrast to other resources, a quota of
// CPU and memory makes them mandatory (kubernetes/pkg/quota/v1/evaluator/core/pods.go). Kubernetes takes missing defaults from other
// entries, see [namespace.LimitRange].
func findMissingDefaults(quota types.Map, defaults map[string]types.Map) []string {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(quota.Elements())) {
		kind, isLimit := strings.CutPrefix(name, "limits.")
		kind = strings.TrimPrefix(kind, "requests.")
		if kind != "cpu" && kind != "memory" {
			continue
		}
		sources := []string{"default_request", "default", "max", "min"}
		if isLimit {
			sources = []string{"default", "max"}
		}
		isSet := func(source string) bool {
			_, there := defaults[source].Elements()[kind]
			return there || defaults[source].IsUnknown()
		}
		if !slices.ContainsFunc(sources, isSet) {
			missing = append(missing, fmt.Sprintf("limit_range.%s[%q], for the quota of %s", sources[0], kind, name))
		}
	}
	return missing
}

// findEngineProblem returns why the engine of a run cannot start, as far as the limits are known. It supposes a step that needs next to nothing.
func findEngineProblem(ctx context.Context, quota types.Map, limits map[string]types.Map) string {
	graph, err := workflow.NewGraph([]workflow.Step{{Name: "step", Image: "image", Command: []string{"command"}, When: workflow.OnSuccess}})
	var policies jobspec.Policies
	policies.AddRange(corev1.LimitRange{Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
		Type: corev1.LimitTypeContainer, Max: knownQuantities(ctx, limits["max"]), Min: knownQuantities(ctx, limits["min"]),
		Default: knownQuantities(ctx, limits["default"]), DefaultRequest: knownQuantities(ctx, limits["default_request"]),
	}}}})
	policies.AddQuota(corev1.ResourceQuota{Spec: corev1.ResourceQuotaSpec{Hard: knownQuantities(ctx, quota)}})
	if err == nil {
		_, err = policies.FitEngine(graph, workflow.Resources{})
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// knownQuantities returns the quantities of a map that are known and valid; other checks report the others.
func knownQuantities(ctx context.Context, from types.Map) corev1.ResourceList {
	list := corev1.ResourceList{}
	for name, element := range from.Elements() {
		value, ok := element.(basetypes.StringValuable)
		if !ok {
			continue
		}
		text, diags := value.ToStringValue(ctx)
		if quantity, err := apiresource.ParseQuantity(text.ValueString()); err == nil && !diags.HasError() {
			list[corev1.ResourceName(name)] = quantity
		}
	}
	return list
}

// objectStore matches names that people give to object stores.
var objectStore = regexp.MustCompile(`s3|minio|object|stor|bucket|blob|gcs|juicefs|ceph|swift|dfs`)

// hasObjectStore reports whether an entry of egress can be an object store: by its name or the port of MinIO, or because it allows every
// address.
func hasObjectStore(ctx context.Context, egress types.Map) bool {
	for name, element := range egress.Elements() {
		object, ok := element.(types.Object)
		if !ok || attribute.HasUnknown(object) || objectStore.MatchString(name) {
			return true
		}
		var entry trafficModel
		if diags := (diag.Diagnostics{}); !attribute.DecodeObject(ctx, object, &entry, &diags) {
			return true // the error is reported elsewhere
		}
		everywhere := slices.Contains(entry.CIDRs, "0.0.0.0/0") || slices.Contains(entry.CIDRs, "::/0")
		if slices.Contains(entry.Ports, 9000) || everywhere && (len(entry.Ports) == 0 || slices.Contains(entry.Ports, 443)) {
			return true
		}
	}
	return false
}
