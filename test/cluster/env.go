package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// variable is a line of the environment file.
type variable struct{ name, value string }

// environment returns the variables for shells, tests and examples.
func (c cluster) environment(cliConfig, kube, version, redis, agentImage, redisPassword string) []variable {
	tools := c.image(toolsName, toolsTag)
	return []variable{
		{"KUBECONFIG", c.adminFile()},
		{"KUBE_CONFIG_PATH", c.adminFile()},
		{"TF_CLI_CONFIG_FILE", cliConfig},
		{"BRANE_TEST_CLUSTER", c.dir},
		{"BRANE_TEST_KUBE", kube}, // so that a test that starts a second cluster need not build it again
		{"BRANE_TEST_KUBE_VERSION", version},
		{"BRANE_TEST_REDIS_SERVER", redis},
		{"BRANE_BRIDGE_IP", c.gateway()},
		// The API server as pods reach it; the kubeconfig has the loopback address.
		{"BRANE_API_CLUSTER_URL", "https://" + c.gateway() + ":" + apiPort},
		{"BRANE_REDIS_URL", redisURL(c.loopback(), redisPassword)},
		{"BRANE_REDIS_POD_URL", redisURL(c.gateway(), redisPassword)},
		{"BRANE_REGISTRY", c.registry()},
		{"BRANE_AGENT_IMAGE", agentImage},
		{"BRANE_TOOLS_IMAGE", tools},
		{"TF_VAR_registry", c.registry()},
		{"TF_VAR_tools_image", tools},
		{"TF_VAR_callback_to", "http://" + c.gateway() + ":50052"},
	}
}

// renderEnvironment returns the variables as shell commands, with bin prepended to PATH.
func renderEnvironment(variables []variable, bin string) string {
	var b strings.Builder
	for _, v := range variables {
		fmt.Fprintf(&b, "export %s=%s\n", v.name, shellQuote(v.value))
	}
	fmt.Fprintf(&b, "export PATH=%s:\"$PATH\"\n", shellQuote(bin))
	return b.String()
}

const shellPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_"

// shellQuote quotes a value unless it consists of plain characters.
func shellQuote(s string) string {
	if s != "" && strings.Trim(s, shellPlain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// cliConfigFormat makes Terraform and OpenTofu install the provider from the build in this repository, and all others
// from their registries.
const cliConfigFormat = `provider_installation {
  filesystem_mirror {
    path    = %q
    include = ["registry.terraform.io/braneframework/*", "registry.opentofu.org/braneframework/*"]
  }
  direct {
    exclude = ["registry.terraform.io/braneframework/*", "registry.opentofu.org/braneframework/*"]
  }
}
`

// writeEnvironment writes the environment file, the CLI configuration, and kubectl.
func writeEnvironment(c cluster, root, kube, version, redis, agentImage, redisPassword string) error {
	mirror := filepath.Join(root, ".bin/mirror")
	if err := os.MkdirAll(mirror, 0o755); err != nil { // Terraform rejects a missing directory
		return err
	}
	cliConfig := c.path("terraform.tfrc")
	if err := os.WriteFile(cliConfig, fmt.Appendf(nil, cliConfigFormat, mirror), 0o600); err != nil {
		return err
	}
	kubectl := fmt.Sprintf("#!/bin/sh\nexec %s kubectl \"$@\"\n", shellQuote(kube))
	if err := os.WriteFile(c.path("bin/kubectl"), []byte(kubectl), 0o700); err != nil { //nolint:gosec // a program must be executable
		return err
	}
	env := renderEnvironment(c.environment(cliConfig, kube, version, redis, agentImage, redisPassword), c.path("bin"))
	return os.WriteFile(c.path("env"), []byte(env), 0o600) // it contains the password of Redis
}
