package attribute

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestResourceAmounts(t *testing.T) {
	for _, tt := range []struct {
		use          ResourceUse
		name, amount string
		want         string // part of the problem, or nothing
	}{
		{ContainerResources, "cpu", "500m", ""},
		{ContainerResources, "cpu", "0", ""},
		{ContainerResources, "cpu", "1.5", ""},
		{ContainerResources, "cpu", "2Gi", "it has a unit of bytes"},
		{ContainerResources, "cpu", "2Ki", "it has a unit of bytes"},
		{ContainerResources, "cpu", "500M", "thousandths of a CPU with the unit m, for example 500m"},
		{ContainerResources, "cpu", "20000", "it would be 20000 CPUs"},
		{ContainerResources, "cpu", "500n", "less than 1m"},
		{ContainerResources, "cpu", "two", "write it as Kubernetes does"},
		{ContainerResources, "cpu", "-1", "negative"},
		{ContainerResources, "cpu", "1e99999999999", "write it as Kubernetes does"},
		{ContainerResources, "cpu", "1e-99999", "write it as Kubernetes does"},
		{ContainerResources, "memory", "2", "it is 2 bytes; did you mean 2Mi or 2Gi?"},
		{ContainerResources, "memory", "2048", "did you mean 2048Mi or 2048Gi?"},
		{ContainerResources, "memory", "0.5", "0.5 bytes"},
		{ContainerResources, "memory", "500m", "did you mean 500Mi?"},
		{ContainerResources, "memory", "128000m", "did you mean 128000Mi?"},
		{ContainerResources, "memory", "2k", "did you mean 2Mi or 2Gi?"},
		{ContainerResources, "memory", "134217728", ""},
		{ContainerResources, "memory", "1181116006400m", ""}, // 1.1Gi as the API server writes it
		{ContainerResources, "memory", "1.1Gi", ""},
		{ContainerResources, "memory", "1e9", ""},
		{ContainerResources, "memory", "64Mi", ""},
		{ContainerResources, "memory", "2GB", "write it as Kubernetes does"},
		{ContainerResources, "memory", "1E", ""},
		{ContainerResources, "ephemeral-storage", "10", "10 bytes"},
		{ContainerResources, "hugepages-2Mi", "4Mi", ""},
		{ContainerResources, "hugepages-2Mi", "3Mi", "not a multiple of the page size, 2Mi"},
		{ContainerResources, "hugepages-2", "4", ""},
		{ContainerResources, "hugepages-big", "4Mi", "the size of the pages is not valid"},
		{ContainerResources, "hugepages-0", "4Mi", "the size of the pages is not valid"},
		{ContainerResources, "nvidia.com/gpu", "1", ""},
		{ContainerResources, "nvidia.com/gpu", "500m", "must be an integer"},
		{ContainerResources, "requests.nvidia.com/gpu", "1", "remove it"},
		{ContainerResources, "gpu", "1", `did you mean "nvidia.com/gpu"?`},
		{ContainerResources, "CPU", "1", `did you mean "cpu"?`},
		{ContainerResources, "mem", "1Gi", `did you mean "memory"?`},
		{ContainerResources, "requests.cpu", "1", "there is no such resource"},
		{ContainerResources, "cpu ", "1", "it is not a name of a resource"},
		{ContainerResources, "", "1", "it is not a name of a resource"},
		{QuotaResources, "pods", "100", ""},
		{QuotaResources, "pods", "1k", ""},
		{QuotaResources, "pods", "500m", "must be an integer"},
		{QuotaResources, "pods", "2Gi", "is a number of objects"},
		{QuotaResources, "count/jobs.batch", "10", ""},
		{QuotaResources, "count/pods", "10", ""},
		{QuotaResources, "count/jobs", "10", `did you mean "count/jobs.batch"?`},
		{QuotaResources, "jobs", "10", `did you mean "count/jobs.batch"?`},
		{QuotaResources, "Pods", "10", `did you mean "pods"?`},
		{QuotaResources, "requests.cpu", "1k", ""},
		{QuotaResources, "requests.cpu", "64Gi", "it has a unit of bytes"},
		{QuotaResources, "limits.memory", "64", "64 bytes"},
		{QuotaResources, "requests.memory", "0", ""},
		{QuotaResources, "requests.storage", "500m", "did you mean 500Mi?"},
		{QuotaResources, "gold.storageclass.storage.k8s.io/requests.storage", "2", "2 bytes"},
		{QuotaResources, "gold.storageclass.storage.k8s.io/persistentvolumeclaims", "2", ""},
		{QuotaResources, "requests.nvidia.com/gpu", "4", ""},
		{QuotaResources, "nvidia.com/gpu", "4", `did you mean "requests.nvidia.com/gpu"?`},
		{QuotaResources, "limits.nvidia.com/gpu", "4", `did you mean "requests.nvidia.com/gpu"?`},
		{QuotaResources, "requests.hugepages-2Mi", "4Mi", ""},
		{QuotaResources, "requests.gpu", "4", "there is no such resource"},
	} {
		t.Run(fmt.Sprintf("%s = %q", tt.name, tt.amount), func(t *testing.T) {
			got := nameProblem(tt.name, tt.use)
			if got == "" {
				got = amountProblem(tt.name, tt.amount, tt.use)
			}
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzAmount checks that no amount passes that the API server refuses, or writes in a form that does not pass.
func FuzzAmount(f *testing.F) {
	for _, amount := range []string{"1", "1000m", "1.5Gi", "-1", "", "1e3", "1e99999999999", "0x1", "١", " 1", "1 Gi", "+1", ".5", "9223372036854775808", "2Ki", "1n"} {
		for _, name := range []string{"cpu", "memory", "pods", "nvidia.com/gpu", "hugepages-2Mi", "requests.storage"} {
			f.Add(name, amount)
		}
	}
	f.Fuzz(func(t *testing.T, name, amount string) {
		for _, use := range []ResourceUse{ContainerResources, QuotaResources} {
			if nameProblem(name, use) != "" || amountProblem(name, amount, use) != "" {
				continue
			}
			if problems := validation.IsQualifiedName(name); len(problems) > 0 {
				t.Fatalf("name %q passes: %v", name, problems)
			}
			value, err := resource.ParseQuantity(amount)
			if err != nil || value.Sign() < 0 {
				t.Fatalf("%q passes: %v", amount, err)
			}
			stored := value.String()
			if !written(amount).isEqual(written(stored)) {
				t.Errorf("%q is stored as %q, which is not equal", amount, stored)
			}
			if problem := amountProblem(name, stored, use); problem != "" {
				t.Errorf("%s = %q passes, and as %q it does not: %s", name, amount, stored, problem)
			}
		}
	})
}
