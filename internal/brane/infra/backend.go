package infra

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Backend is backend.yml, with which a worker of Brane 1.0 and later is told where it runs work. The zero value of a field leaves it out.
//
// No such Brane runs work on Kubernetes today: its services refuse the method.
type Backend struct {
	Config          string   // path of a kubeconfig, as brane-job sees it
	Address         string   // host:port of the API server; Brane 1 and 2
	RegistryAddress string   // host:port of an image registry; Brane 3
	Capabilities    []string // "cuda_gpu" is the only one there is
	HashContainers  *bool    // Brane 2 and later; their default is true
}

var backendVersionRule = regexp.MustCompile(`^([123])(\.[0-9]+){0,2}$`)

// Render writes backend.yml for a version of Brane: 1 and 2 tell the method by a key, 3 by a YAML tag. The error is a [FieldError].
func (b Backend) Render(version string) ([]byte, error) {
	found := backendVersionRule.FindStringSubmatch(version)
	if found == nil {
		return nil, FieldError{"version", fmt.Sprintf("%q is not a version of Brane with a backend.yml: write 1, 2 or 3, or a release of them like 3.0.0", version)}
	}
	if err := b.check(found[1]); err != nil {
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

func (b Backend) check(major string) error {
	if !strings.HasPrefix(b.Config, "/") {
		return FieldError{"config", fmt.Sprintf("%q is not an absolute path, like /config/kubeconfig.yml; the file must be mounted there into brane-job", b.Config)}
	}
	for _, capability := range b.Capabilities {
		if capability != "cuda_gpu" {
			return FieldError{"capabilities", fmt.Sprintf("%q is not a capability; there is only cuda_gpu", capability)}
		}
	}
	if major == "1" && b.HashContainers != nil {
		return FieldError{"hash_containers", "Brane 1 does not know it; leave it out"}
	}
	if major == "3" {
		if b.Address != "" {
			return FieldError{"address", "Brane 3 takes the server from the kubeconfig; leave it out"}
		}
		if problem := registryProblem(b.RegistryAddress); problem != "" {
			return FieldError{"registry_address", problem}
		}
		return nil
	}
	if b.RegistryAddress != "" {
		return FieldError{"registry_address", "Brane " + major + " does not know it; leave it out"}
	}
	if problem := hostPortProblem(b.Address, "203.0.113.7:6443"); problem != "" {
		return FieldError{"address", problem}
	}
	return nil
}
