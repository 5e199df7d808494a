package infra

import (
	"fmt"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestWritesBackends(t *testing.T) {
	no := false
	for file, tt := range map[string]struct {
		version string
		backend Backend
	}{
		"backend/1.yml":    {"1.0.0", Backend{Address: "203.0.113.7:6443", Config: "/config/kubeconfig.yml"}},
		"backend/2.yml":    {"2", Backend{Address: "203.0.113.7:6443", Config: "/config/kubeconfig.yml", Capabilities: []string{"cuda_gpu"}, HashContainers: &no}},
		"backend/3.yml":    {"3.0", Backend{RegistryAddress: "registry.example.org:5000", Config: "/config/kubeconfig.yml", HashContainers: &no}},
		"backend/3min.yml": {"3.0.0", Backend{RegistryAddress: "registry.example.org:5000", Config: "/config/kubeconfig.yml"}},
	} {
		t.Run(file, func(t *testing.T) {
			got, err := tt.backend.Render(tt.version)
			if want := string(read(t, file)); err != nil || string(got) != want {
				t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
			}
			var document struct {
				Method yaml.Node `yaml:"method"`
			}
			if err := yaml.Unmarshal(got, &document); err != nil {
				t.Fatal(err)
			}
			if tag := document.Method.Tag; tt.version[0] == '3' && tag != "!kubernetes" || tt.version[0] != '3' && tag != "!!map" {
				t.Errorf("the method's tag is %s", tag)
			}
		})
	}
}

func TestRefusesBackends(t *testing.T) {
	yes := true
	for name, tt := range map[string]struct {
		version string
		backend Backend
		want    string
	}{
		"a version without the file":       {"0.6", Backend{}, `version: "0.6" is not a Brane version that has a backend.yml: use 1, 2 or 3, or a release such as 3.0.0`},
		"a path that is not absolute":      {"3", Backend{Config: "kubeconfig.yml"}, `config: "kubeconfig.yml" is not an absolute path, like /config/kubeconfig.yml; the file must be mounted there into brane-job`},
		"a capability that is none":        {"3", Backend{Config: "/k", Capabilities: []string{"CudaGpu"}}, `capabilities: "CudaGpu" is not a supported capability; Brane only has cuda_gpu`},
		"hash_containers of Brane 1":       {"1", Backend{Config: "/k", Address: "203.0.113.7:6443", HashContainers: &yes}, `hash_containers: Brane 1 does not support it; omit it`},
		"an address of Brane 3":            {"3", Backend{Config: "/k", Address: "203.0.113.7:6443"}, `address: Brane 3 takes the server from the kubeconfig; omit it`},
		"a registry of Brane 2":            {"2", Backend{Config: "/k", RegistryAddress: "r:5000"}, `registry_address: Brane 2 does not support it; omit it`},
		"an address with a scheme":         {"1", Backend{Config: "/k", Address: "https://203.0.113.7:6443"}, `address: it has a scheme; write host:port alone, such as 203.0.113.7:6443`},
		"a registry that is not host:port": {"3", Backend{Config: "/k"}, `registry_address: it is not host:port, such as 198.51.100.10:50050`},
		"a registry without a port":        {"3", Backend{Config: "/k", RegistryAddress: "registry.example.org"}, `registry_address: it has no port; write host:port, such as 198.51.100.10:50050`},
		"a registry with a path":           {"3", Backend{Config: "/k", RegistryAddress: "r:443/team/a"}, `registry_address: it is not host:port, such as 198.51.100.10:50050`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tt.backend.Render(tt.version); fmt.Sprint(err) != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}
