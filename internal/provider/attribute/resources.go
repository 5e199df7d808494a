package attribute

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

// ResourceUse is where amounts of resources are used, which determines the names that have a meaning there.
type ResourceUse int

// The uses of amounts of resources.
const (
	// ContainerResources are requests and limits of containers.
	ContainerResources ResourceUse = iota
	// QuotaResources are hard limits of a ResourceQuota.
	QuotaResources
)

// resourceAmounts validates names and amounts of resources by the rules of the API server (kubernetes/pkg/apis/core/validation), and
// refuses amounts that it accepts although their unit cannot be meant, such as half a byte of memory.
type resourceAmounts struct{ use ResourceUse }

func (resourceAmounts) Description(context.Context) string {
	return "must contain names of resources and valid amounts of them"
}
func (v resourceAmounts) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v resourceAmounts) ValidateMap(_ context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for name, element := range req.ConfigValue.Elements() {
		at := req.Path.AtMapKey(name)
		if problem := nameProblem(name, v.use); problem != "" {
			resp.Diagnostics.AddAttributeError(at, "Invalid resource name", fmt.Sprintf("%s: %s.", at, problem))
			continue
		}
		quantity, ok := element.(Quantity)
		if !ok || quantity.IsNull() || quantity.IsUnknown() {
			continue
		}
		if problem := amountProblem(name, quantity.ValueString(), v.use); problem != "" {
			resp.Diagnostics.AddAttributeError(at, "Invalid quantity", fmt.Sprintf("%s is %q: %s.", at, quantity.ValueString(), problem))
		}
	}
}

// The resources that Kubernetes defines, in the terms of helper.IsStandardContainerResourceName and helper.IsStandardQuotaResourceName.
var (
	containerResources = []string{"cpu", "memory", "ephemeral-storage"}
	countedObjects     = []string{
		"pods", "services", "services.nodeports", "services.loadbalancers", "replicationcontrollers", "resourcequotas", "secrets", "configmaps",
		"persistentvolumeclaims",
	}
	quotaResources = slices.Concat(containerResources, []string{
		"requests.cpu", "requests.memory", "requests.ephemeral-storage", "requests.storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage",
	}, countedObjects)
)

// groupsOfKinds contains the API groups of objects that people count in a quota.
var groupsOfKinds = map[string]string{
	"jobs": "batch", "cronjobs": "batch", "deployments": "apps", "replicasets": "apps", "statefulsets": "apps", "daemonsets": "apps",
	"ingresses": "networking.k8s.io", "networkpolicies": "networking.k8s.io", "roles": "rbac.authorization.k8s.io", "rolebindings": "rbac.authorization.k8s.io",
}

// nameProblem returns what is wrong with the name of a resource, or nothing.
func nameProblem(name string, use ResourceUse) string {
	if problems := validation.IsQualifiedName(name); len(problems) > 0 {
		return "it is not a name of a resource: " + strings.Join(problems, "; ")
	}
	if use == QuotaResources {
		return quotaNameProblem(name)
	}
	switch {
	case slices.Contains(containerResources, name):
		return ""
	case strings.HasPrefix(name, corev1.ResourceHugePagesPrefix):
		return pageSizeProblem(name)
	case !strings.Contains(name, "/"):
		return unknownName(name, "cpu, memory, ephemeral-storage, hugepages-<size> and, with their domain, resources such as nvidia.com/gpu")
	case strings.HasPrefix(name, corev1.DefaultResourceRequestsPrefix):
		return "the prefix requests. belongs to quotas; remove it"
	case strings.Contains(name, corev1.ResourceDefaultNamespacePrefix):
		return "" // what Kubernetes defines, for example attachable volumes
	case len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+name)) > 0:
		return "it is too long: with the prefix requests. it is not a valid name for quotas"
	}
	return ""
}

func quotaNameProblem(name string) string {
	domain, _, hasDomain := strings.Cut(name, "/")
	switch {
	case slices.Contains(quotaResources, name):
		return ""
	case strings.HasPrefix(name, corev1.ResourceHugePagesPrefix), strings.HasPrefix(name, corev1.ResourceRequestsHugePagesPrefix):
		return pageSizeProblem(strings.TrimPrefix(name, corev1.DefaultResourceRequestsPrefix))
	case domain == "count" && hasDomain:
		if group, ok := groupsOfKinds[strings.TrimPrefix(name, "count/")]; ok {
			return fmt.Sprintf("it limits nothing without the API group; did you mean %q?", name+"."+group)
		}
		return ""
	case !hasDomain:
		if group, ok := groupsOfKinds[strings.ToLower(name)]; ok {
			return fmt.Sprintf("there is no such resource; did you mean %q?", "count/"+strings.ToLower(name)+"."+group)
		}
		return unknownName(name, strings.Join(quotaResources, ", ")+", hugepages-<size>, count/<resource>.<group> and requests.<domain>/<resource>")
	case strings.HasPrefix(name, corev1.DefaultResourceRequestsPrefix), strings.HasSuffix(domain, "k8s.io"), strings.HasSuffix(domain, "kubernetes.io"):
		return ""
	default:
		// The API server accepts the name, and counts nothing.
		return fmt.Sprintf("a quota of this name limits nothing; did you mean %q?", corev1.DefaultResourceRequestsPrefix+strings.TrimPrefix(name, "limits."))
	}
}

// unknownName returns a sentence about a name without a domain that Kubernetes does not define.
func unknownName(name, known string) string {
	guesses := map[string]string{
		"mem": "memory", "ram": "memory", "cpus": "cpu", "cores": "cpu", "storage": "ephemeral-storage", "disk": "ephemeral-storage", "gpu": "nvidia.com/gpu",
		"gpus": "nvidia.com/gpu", "pod": "pods", "configmap": "configmaps", "secret": "secrets", "pvc": "persistentvolumeclaims",
	}
	guess, ok := guesses[strings.ToLower(name)]
	if lower := strings.ToLower(name); !ok && lower != name {
		guess, ok = lower, true
	}
	if ok {
		return fmt.Sprintf("there is no such resource; did you mean %q? Known are %s", guess, known)
	}
	return "there is no such resource; known are " + known
}

// pageSizeProblem returns what is wrong with the page size in a name such as hugepages-2Mi.
func pageSizeProblem(name string) string {
	size, err := ParseQuantity(strings.TrimPrefix(name, corev1.ResourceHugePagesPrefix))
	if err != nil || size.Sign() <= 0 || size.MilliValue()%1000 != 0 {
		return "the size of the pages is not valid: write it as hugepages-2Mi"
	}
	return ""
}

// The bounds of amounts that can be meant.
const (
	smallestPlain  = 1 << 20 // of bytes without a unit
	smallestBytes  = 1 << 12 // a page of memory
	mostCPUs       = 10_000  // of a container
	mostCPUsOfKind = 999_999 // of a quota
)

// amountProblem returns what is wrong with an amount of a resource whose name is valid, or nothing.
func amountProblem(name, text string, use ResourceUse) string {
	value, err := ParseQuantity(text)
	switch {
	case err != nil:
		return "write it as Kubernetes does, for example 2, 500m, 64Mi or 1.5Gi"
	case value.Sign() < 0:
		return "it is negative"
	case value.Sign() == 0:
		return ""
	}
	switch kind := strings.TrimPrefix(strings.TrimPrefix(name, corev1.DefaultResourceRequestsPrefix), "limits."); {
	case kind == string(corev1.ResourceCPU):
		return cpuProblem(value, text, use)
	case kind == "memory", kind == "ephemeral-storage", kind == "storage", strings.HasSuffix(kind, ".storageclass.storage.k8s.io/requests.storage"):
		return bytesProblem(value, text)
	case strings.HasPrefix(kind, corev1.ResourceHugePagesPrefix):
		size, err := ParseQuantity(strings.TrimPrefix(kind, corev1.ResourceHugePagesPrefix))
		if err == nil && size.Value() > 0 && (value.Value()%size.Value() != 0 || value.MilliValue()%1000 != 0) {
			return "it is not a multiple of the page size, " + size.String()
		}
		return ""
	default:
		return countProblem(name, value, text)
	}
}

func cpuProblem(value resource.Quantity, text string, use ResourceUse) string {
	most := int64(mostCPUs)
	if use == QuotaResources {
		most = mostCPUsOfKind
	}
	switch {
	case strings.HasSuffix(text, "i"):
		return fmt.Sprintf("it has a unit of bytes, and would be %d CPUs; write CPUs as 2 or 500m", value.Value())
	case value.CmpInt64(most) > 0:
		return fmt.Sprintf("it would be %d CPUs; write thousandths of a CPU with the unit m, for example 500m", value.Value())
	case value.Cmp(resource.MustParse("1m")) < 0:
		return "it is less than 1m, the smallest amount of CPU"
	}
	return ""
}

func bytesProblem(value resource.Quantity, text string) string {
	number := strings.TrimRight(text, "numkKMGTPEi")
	hasUnit := strings.ContainsAny(text, "kMGTP") || strings.HasSuffix(text, "E") || strings.HasSuffix(text, "i")
	switch {
	case !hasUnit && value.CmpInt64(smallestPlain) < 0 && strings.HasSuffix(text, "m"):
		return fmt.Sprintf("the unit m is for thousandths, here of a byte; did you mean %sMi?", number)
	case !hasUnit && value.CmpInt64(smallestPlain) < 0, value.CmpInt64(smallestBytes) < 0:
		return fmt.Sprintf("it is %s bytes; did you mean %[2]sMi or %[2]sGi?", value.AsDec().String(), number)
	}
	return ""
}

// countProblem checks numbers of objects and of devices, which have no parts.
func countProblem(name string, value resource.Quantity, text string) string {
	isCount := slices.Contains(countedObjects, name) || strings.HasPrefix(name, "count/") || strings.HasSuffix(name, "/persistentvolumeclaims")
	isNative := !strings.Contains(name, "/") || strings.Contains(name, corev1.ResourceDefaultNamespacePrefix)
	switch {
	case (isCount || !isNative) && value.MilliValue()%1000 != 0:
		return "it is a number of things, and must be an integer"
	case isCount && strings.HasSuffix(text, "i"):
		return "it has a unit of bytes, and is a number of objects"
	}
	return ""
}
