package namespace_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestValidation checks that a wrong value is an error during the plan, with the path of the value.
func TestValidation(t *testing.T) {
	t.Parallel()
	account := func(entries acctest.Object) acctest.Object { return acctest.Object{"service_account": entries} }
	limits := func(entries acctest.Object) acctest.Object { return acctest.Object{"limit_range": entries} }
	egress := func(entries acctest.Object) acctest.Object {
		return acctest.Object{"network_policy": acctest.Object{"egress": acctest.Object{"redis": entries}}}
	}
	rule := func(resources, verbs string) acctest.Object {
		return acctest.Object{"rules": []any{acctest.Object{"api_groups": []any{"batch"}, "resources": []any{resources}, "verbs": []any{verbs}}}}
	}
	for name, tt := range map[string]struct {
		config acctest.Object
		want   string // part of the errors, or nothing
	}{
		"our label": {
			acctest.Object{"labels": acctest.Object{"app.kubernetes.io/managed-by": "terraform"}},
			`labels["app.kubernetes.io/managed-by"]: the provider sets this label to "terraform-provider-brane"`,
		},
		"our label of the service account": {
			account(acctest.Object{"labels": acctest.Object{"app.kubernetes.io/managed-by": "terraform"}}), `service_account.labels["app.kubernetes.io/managed-by"]: the provider sets`,
		},
		"a Pod Security level as a label": {
			acctest.Object{"labels": acctest.Object{"pod-security.kubernetes.io/enforce": "baseline"}, "pod_security": acctest.Object{"enforce": "restricted"}},
			`labels["pod-security.kubernetes.io/enforce"]: set Pod Security levels with pod_security, here pod_security.enforce`,
		},
		"a Pod Security version as a label": {
			acctest.Object{"labels": acctest.Object{"pod-security.kubernetes.io/warn-version": "latest"}}, "here pod_security.version",
		},
		"the name as a label":           {acctest.Object{"labels": acctest.Object{"kubernetes.io/metadata.name": "ns"}}, ""},
		"another name as a label":       {acctest.Object{"labels": acctest.Object{"kubernetes.io/metadata.name": "other"}}, `labels["kubernetes.io/metadata.name"]: Kubernetes sets this label to the name of the namespace, "ns"`},
		"our annotation":                {acctest.Object{"annotations": acctest.Object{"terraform-provider-brane/deletion-policy": "delete"}}, `annotations["terraform-provider-brane/deletion-policy"]: the prefix`},
		"our annotation of the account": {account(acctest.Object{"annotations": acctest.Object{"terraform-provider-brane/x": "y"}}), `service_account.annotations["terraform-provider-brane/x"]: the prefix`},
		"a common Pod Security level": {
			acctest.Object{"common_labels": acctest.Object{"pod-security.kubernetes.io/enforce": "privileged"}}, `common_labels["pod-security.kubernetes.io/enforce"]: set Pod Security levels`,
		},
		"a common label of runs":            {acctest.Object{"common_labels": acctest.Object{"brane/run": "x"}}, `common_labels["brane/run"]: the provider recognizes the objects of runs`},
		"a common label of ours":            {acctest.Object{"common_labels": acctest.Object{"app.kubernetes.io/managed-by": "x"}}, `common_labels["app.kubernetes.io/managed-by"]: the provider sets`},
		"a common annotation of ours":       {acctest.Object{"common_annotations": acctest.Object{"terraform-provider-brane/x": "x"}}, `common_annotations["terraform-provider-brane/x"]: the prefix`},
		"a common label with a space":       {acctest.Object{"common_labels": acctest.Object{"team": "a b"}}, `common_labels["team"] is "a b": `},
		"a label value with a space":        {acctest.Object{"labels": acctest.Object{"team": "a b"}}, `labels["team"] is "a b": `},
		"a label key with two slashes":      {acctest.Object{"labels": acctest.Object{"a/b/c": "x"}}, `labels["a/b/c"] is "a/b/c": `},
		"an annotation key with a space":    {acctest.Object{"annotations": acctest.Object{"a b": "x"}}, `annotations["a b"] is "a b": `},
		"an annotation value with anything": {acctest.Object{"annotations": acctest.Object{"a": "{ \"x\": 1 }\n"}}, ""},
		"too large annotations":             {acctest.Object{"annotations": acctest.Object{"a": strings.Repeat("x", 1<<18)}}, "annotations has 262145 bytes of keys and values"},
		"annotations too large together": {
			acctest.Object{"annotations": acctest.Object{"a": strings.Repeat("x", 1<<17)}, "common_annotations": acctest.Object{"b": strings.Repeat("x", 1<<17)}},
			"annotations with common_annotations: the object cannot be created, because its annotations have 262146 bytes of keys and values; an object can have at most 258048",
		},
		"a label of the account":             {account(acctest.Object{"labels": acctest.Object{"-": "x"}}), `service_account.labels["-"] is "-": `},
		"a name of a pull Secret":            {account(acctest.Object{"image_pull_secrets": []any{"Not A Name"}}), `is "Not A Name": `},
		"a service account with dots":        {account(acctest.Object{"name": "team.imaging"}), ""},
		"a service account in upper case":    {account(acctest.Object{"name": "Brane"}), `service_account.name is "Brane": `},
		"memory without a unit":              {acctest.Object{"resource_quota": acctest.Object{"requests.memory": "64"}}, `resource_quota["requests.memory"] is "64": it is 64 bytes; did you mean 64Mi or 64Gi?`},
		"memory in thousandths":              {limits(acctest.Object{"default": acctest.Object{"memory": "500m"}}), `limit_range.default["memory"] is "500m": the unit m is for thousandths, here of a byte; did you mean 500Mi?`},
		"CPUs in bytes":                      {limits(acctest.Object{"max": acctest.Object{"cpu": "2Gi"}}), `limit_range.max["cpu"] is "2Gi": it has a unit of bytes`},
		"a resource that does not exist":     {limits(acctest.Object{"min": acctest.Object{"mem": "1Gi"}}), `limit_range.min["mem"]: there is no such resource; did you mean "memory"?`},
		"a quota without effect":             {acctest.Object{"resource_quota": acctest.Object{"nvidia.com/gpu": "1"}}, `resource_quota["nvidia.com/gpu"]: a quota of this name limits nothing; did you mean "requests.nvidia.com/gpu"?`},
		"a default above the maximum":        {limits(acctest.Object{"default": acctest.Object{"cpu": "4"}, "max": acctest.Object{"cpu": "2"}}), `limit_range.default["cpu"] is "4", and must not exceed limit_range.max["cpu"], which is "2".`},
		"a request above the default":        {limits(acctest.Object{"default": acctest.Object{"cpu": "1"}, "default_request": acctest.Object{"cpu": "1500m"}}), `limit_range.default_request["cpu"] is "1500m", and must not exceed limit_range.default["cpu"]`},
		"equal limits":                       {limits(acctest.Object{"default": acctest.Object{"cpu": "1000m"}, "max": acctest.Object{"cpu": "1"}, "min": acctest.Object{"cpu": "1"}}), ""},
		"an address range with host bits":    {egress(acctest.Object{"cidrs": []any{"198.51.100.10/24"}}), `is "198.51.100.10/24": it has bits beyond its prefix; did you mean 198.51.100.0/24?`},
		"an address without a prefix length": {egress(acctest.Object{"cidrs": []any{"2001:db8::1"}}), "did you mean 2001:db8::1/128?"},
		"a host name in place of an address": {egress(acctest.Object{"cidrs": []any{"redis.example.org"}}), "write addresses, not names"},
		"a name of Docker Hub":               {acctest.Object{"registry_credentials": acctest.Object{"hub.docker.com": acctest.Object{"username": "u", "password_wo": "p"}}}, "write docker.io"},
		"a registry with a password":         {acctest.Object{"registry_credentials": acctest.Object{"u:geheim@r.example.org": acctest.Object{"username": "u", "password_wo": "p"}}}, "set username and password_wo"},
		"a version without a level":          {acctest.Object{"pod_security": acctest.Object{"version": "v1.35"}}, "pod_security.version has no effect without a level"},
		"a version of no Kubernetes":         {acctest.Object{"pod_security": acctest.Object{"enforce": "baseline", "version": "1.35"}}, `pod_security.version is "1.35": write it as v1.35, or latest`},
		"a verb in upper case":               {rule("jobs", "GET"), `is "GET": write verbs in lower case`},
		"a kind in place of a resource":      {rule("Job", "get"), `is "Job": write resources in lower case and plural, for example jobs`},
		"a rule for everything":              {rule("*", "*"), ""},
		"a limit of no time":                 {acctest.Object{"timeouts": acctest.Object{"create": "0s"}}, `timeouts.create is "0s": must be at least a second`},
		"a limit without a unit":             {acctest.Object{"timeouts": acctest.Object{"create": "30"}}, "unit suffix"},
		"a subject that is no name": {
			acctest.Object{"subjects": []any{acctest.Object{"kind": "ServiceAccount", "name": "Not A Name", "namespace": "other"}}}, `the name of a ServiceAccount is a DNS name`,
		},
		"values that are not known": {acctest.Object{
			"labels": acctest.Unknown, "annotations": acctest.Object{"a": acctest.Unknown}, "pod_security": acctest.Unknown, "service_account": acctest.Unknown,
			"limit_range": acctest.Object{"max": acctest.Object{"cpu": acctest.Unknown}, "min": acctest.Object{"cpu": "1"}}, "subjects": acctest.Unknown,
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acctest.NewProtocol(t)
			tt.config["name"] = "ns"
			resp, err := s.ValidateResourceConfig(t.Context(), &tfprotov6.ValidateResourceConfigRequest{
				TypeName: "brane_namespace", Config: s.EncodeObject(s.Schemas.ResourceSchemas["brane_namespace"], tt.config),
				ClientCapabilities: &tfprotov6.ValidateResourceConfigClientCapabilities{WriteOnlyAttributesAllowed: true},
			})
			acctest.NoError(t, err)
			got := acctest.FormatDiagnostics(resp.Diagnostics)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if strings.Contains(got, "geheim") {
				t.Errorf("the error repeats a password: %s", got)
			}
			if len(resp.Diagnostics) > 1 {
				t.Errorf("%d errors for one mistake: %s", len(resp.Diagnostics), got)
			}
		})
	}
}
