package kube_test

import (
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

func TestNormalizeServer(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"https://203.0.113.7:443", "https://203.0.113.7", "https://203.0.113.7/"},
		{"https://a.example.org:443", "https://A.example.org", "https://a.example.org.:443/"},
		{"https://[2001:db8::1]:6443", "https://[2001:DB8:0::1]:6443"},
		{"https://rancher.example.org:443/k8s/clusters/c-1", "https://rancher.example.org/k8s/clusters/c-1/"},
		{"http://127.0.0.1:80", "http://127.0.0.1"},
		{"no URL"},
	} {
		for _, server := range same {
			if got := kube.NormalizeServer(server); got != same[0] {
				t.Errorf("%q becomes %q, not %q", server, got, same[0])
			}
		}
	}
}

func TestServerPath(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"https://203.0.113.7": "", "https://203.0.113.7:6443/": "", "https://rancher.example.org/k8s/clusters/c-1": "/k8s/clusters/c-1", "://": "",
	} {
		if got := kube.ServerPath(server); got != want {
			t.Errorf("the path of %q is %q, not %q", server, got, want)
		}
	}
}
