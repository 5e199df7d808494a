package infra

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/braneframework/terraform-provider-brane/internal/brane/redact"
)

// Backend is backend.yml, from which a worker of Brane 1.0 and newer reads where to run tasks. A field with its zero value is omitted.
//
// Today, no such Brane runs tasks on Kubernetes: its services refuse the method.
type Backend struct {
	Config          string   // path of a kubeconfig, as brane-job sees it
	Address         string   // host:port of the API server; Brane 1 and 2
	RegistryAddress string   // host:port of an image registry; Brane 3
	Capabilities    []string // only "cuda_gpu" exists
	HashContainers  *bool    // Brane 2 and newer; defaults to true
}

var backendVersionRule = regexp.MustCompile(`^([123])(\.[0-9]+){0,2}$`)

// Render returns backend.yml for a version of Brane. Brane 1 and 2 read the method from a key, Brane 3 from a YAML tag. The error is a [FieldError].
func (b Backend) Render(version string) ([]byte, error) {
	found := backendVersionRule.FindStringSubmatch(version)
	if found == nil {
		return nil, FieldError{"version", fmt.Sprintf("%q is not a Brane version that has a backend.yml: use 1, 2 or 3, or a release such as 3.0.0", redact.HideUserInfo(version))}
	}
	if err := b.checkFields(found[1]); err != nil {
		return nil, err
	}
	capabilities := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	if len(b.Capabilities) > 0 {
		capabilities = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, capability := range b.Capabilities {
			capabilities.Content = append(capabilities.Content, stringNode(capability))
		}
	}
	backend := mappingNode(stringNode("capabilities"), capabilities)
	if b.HashContainers != nil {
		setKey(backend, "capabilities", "hash_containers", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(*b.HashContainers)})
	}
	method := mappingNode(stringNode("kind"), stringNode("kubernetes"), stringNode("address"), stringNode(b.Address))
	if found[1] == "3" {
		method = mappingNode(stringNode("registry_address"), stringNode(b.RegistryAddress))
		method.Tag = "!kubernetes"
	}
	method.Content = append(method.Content, stringNode("config"), stringNode(b.Config))
	backend.Content = append(backend.Content, stringNode("method"), method)
	lines, err := encodeLines(backend)
	return []byte(lines), err
}

func (b Backend) checkFields(major string) error {
	if !strings.HasPrefix(b.Config, "/") {
		return FieldError{"config", fmt.Sprintf("%q is not an absolute path, like /config/kubeconfig.yml; the file must be mounted there into brane-job", redact.HideUserInfo(b.Config))}
	}
	for _, capability := range b.Capabilities {
		if capability != "cuda_gpu" {
			return FieldError{"capabilities", fmt.Sprintf("%q is not a supported capability; Brane only has cuda_gpu", redact.HideUserInfo(capability))}
		}
	}
	if major == "1" && b.HashContainers != nil {
		return FieldError{"hash_containers", "Brane 1 does not support it; omit it"}
	}
	if major == "3" {
		if b.Address != "" {
			return FieldError{"address", "Brane 3 takes the server from the kubeconfig; omit it"}
		}
		if problem := hostPortProblem(b.RegistryAddress, registryExample); problem != "" { // Brane 3 parses it as host:port
			return FieldError{"registry_address", problem}
		}
		return nil
	}
	if b.RegistryAddress != "" {
		return FieldError{"registry_address", "Brane " + major + " does not support it; omit it"}
	}
	if problem := hostPortProblem(b.Address, serverExample); problem != "" {
		return FieldError{"address", problem}
	}
	return nil
}
