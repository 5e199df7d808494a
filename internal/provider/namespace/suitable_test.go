package namespace_test

import (
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
)

// TestUnsuitableNamespace checks the warnings about settings with which Brane's own Jobs cannot run.
func TestUnsuitableNamespace(t *testing.T) {
	t.Parallel()
	egress := func(entries acctest.Object) acctest.Object {
		return acctest.Object{"network_policy": acctest.Object{"egress": entries}}
	}
	to := func(cidr string, ports ...any) acctest.Object {
		entry := acctest.Object{"cidrs": []any{cidr}}
		if len(ports) > 0 {
			entry["ports"] = ports
		}
		return entry
	}
	redis, callback := to("198.51.100.10/32", 6379), to("198.51.100.10/32", 50052)
	quota := func(limits acctest.Object, names ...string) acctest.Object {
		hard := acctest.Object{}
		for _, name := range names {
			hard[name] = "64Gi"
			if strings.HasSuffix(name, "cpu") {
				hard[name] = "16"
			}
		}
		return acctest.Object{"resource_quota": hard, "limit_range": limits}
	}
	list := func(names ...string) acctest.Object {
		amounts := acctest.Object{}
		for _, name := range names {
			amounts[name] = map[string]string{"cpu": "1", "memory": "1Gi"}[name]
		}
		return amounts
	}
	for name, tt := range map[string]struct {
		config acctest.Object
		want   []string // parts of the only warning; without one there is none
	}{
		"nothing special":     {acctest.Object{}, nil},
		"privileged":          {acctest.Object{"pod_security": acctest.Object{"enforce": "privileged", "warn": "restricted"}}, nil},
		"baseline":            {acctest.Object{"pod_security": acctest.Object{"enforce": "baseline"}}, []string{"pod_security.enforce: ", "privileged containers", `"baseline"`}},
		"restricted":          {acctest.Object{"pod_security": acctest.Object{"enforce": "restricted"}}, []string{"pod_security.enforce: ", `"restricted"`}},
		"a quota of objects":  {acctest.Object{"resource_quota": acctest.Object{"pods": "10", "requests.nvidia.com/gpu": "1"}}, nil},
		"a quota of requests": {quota(nil, "requests.cpu", "memory"), []string{"resource_quota: ", "- limit_range.default_request[\"cpu\"], for the quota of requests.cpu", "- limit_range.default_request[\"memory\"], for the quota of memory"}},
		"a quota of limits":   {quota(acctest.Object{"default_request": list("cpu", "memory")}, "limits.memory"), []string{"limit_range.default[\"memory\"], for the quota of limits.memory"}},
		"a quota of disks":    {quota(nil, "requests.ephemeral-storage"), nil},
		"defaults":            {quota(acctest.Object{"default": list("cpu", "memory")}, "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"), nil},
		"a maximum":           {quota(acctest.Object{"max": list("cpu", "memory")}, "requests.cpu", "limits.memory"), nil},
		"a minimum":           {quota(acctest.Object{"min": list("cpu")}, "requests.cpu"), nil},
		"half of the defaults": {
			quota(acctest.Object{"default": list("cpu")}, "requests.cpu", "requests.memory"), []string{`limit_range.default_request["memory"], for the quota of requests.memory`},
		},
		"defaults that are not known": {quota(acctest.Object{"default": acctest.Unknown}, "limits.cpu"), nil},
		"limits that are not known":   {acctest.Object{"resource_quota": acctest.Object{"limits.cpu": "1"}, "limit_range": acctest.Unknown}, nil},
		"a quota that is not known":   {acctest.Object{"resource_quota": acctest.Unknown}, nil},
		"no traffic":                  {acctest.Object{"network_policy": acctest.Object{}}, []string{"network_policy: ", "object store of JuiceFS"}},
		"Redis and the callback":      {egress(acctest.Object{"redis": redis, "callback": callback}), []string{"network_policy: ", "object store of JuiceFS"}},
		"an object store by its name": {egress(acctest.Object{"redis": redis, "object-store": to("198.51.100.11/32", 443)}), nil},
		"an object store by its port": {egress(acctest.Object{"redis": redis, "files": to("198.51.100.11/32", 9000)}), nil},
		"everything":                  {egress(acctest.Object{"all": to("0.0.0.0/0")}), nil},
		"the web":                     {egress(acctest.Object{"web": to("::/0", 443)}), nil},
		"Redis everywhere":            {egress(acctest.Object{"redis": to("0.0.0.0/0", 6379)}), []string{"object store of JuiceFS"}},
		"traffic that is not known":   {egress(acctest.Object{"other": acctest.Unknown}), nil},
		"no memory for an engine":     {acctest.Object{"limit_range": acctest.Object{"max": acctest.Object{"memory": "32Mi"}}}, []string{"wait = false cannot start", "needs 64Mi of memory at least", "a LimitRange allows 32Mi"}},
		"memory for an engine":        {acctest.Object{"limit_range": acctest.Object{"max": acctest.Object{"memory": "100Mi"}, "default": acctest.Object{"memory": "64Mi"}}}, nil},
		"no pod for an engine":        {acctest.Object{"resource_quota": acctest.Object{"pods": "1"}}, []string{"wait = false cannot start", "a ResourceQuota of the namespace allows 1 pods"}},
		"registries":                  {acctest.Object{"registry_credentials": acctest.Object{"r.example.org": acctest.Object{"username": "u", "password_wo": "never-told"}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acctest.NewProtocol(t)
			s.RequireNoErrors(s.Configure(acctest.Object{"kubernetes": acctest.Object{"host": "https://203.0.113.7:6443", "token": "t"}}, false).Diagnostics)
			tt.config["name"] = "ns"
			diagnostics := s.Plan("brane_namespace", tt.config, false).Diagnostics
			got := acctest.FormatDiagnostics(diagnostics)
			if len(diagnostics) > 1 || (got == "") != (tt.want == nil) {
				t.Errorf("%d warnings: %s", len(diagnostics), got)
			}
			for _, part := range tt.want {
				if !strings.Contains(got, part) {
					t.Errorf("got  %s\nwant %s", got, part)
				}
			}
		})
	}
}
