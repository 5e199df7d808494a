package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestEnvironment(t *testing.T) {
	c := cluster{dir: "/clone/.cluster", number: 7}
	got := renderEnvironment(c.environment("/clone/.cluster/terraform.tfrc", "/clone/.cache/kube-01", "1.30", "redis-server", "10.88.7.1:5000/brane-agent:0123", "SECRET"), c.path("bin"))
	const want = `export KUBECONFIG=/clone/.cluster/kubeconfig
export KUBE_CONFIG_PATH=/clone/.cluster/kubeconfig
export TF_CLI_CONFIG_FILE=/clone/.cluster/terraform.tfrc
export BRANE_TEST_CLUSTER=/clone/.cluster
export BRANE_TEST_KUBE=/clone/.cache/kube-01
export BRANE_TEST_KUBE_VERSION=1.30
export BRANE_TEST_REDIS_SERVER=redis-server
export BRANE_BRIDGE_IP=10.88.7.1
export BRANE_API_CLUSTER_URL=https://10.88.7.1:6443
export BRANE_REDIS_URL=redis://default:SECRET@127.0.1.7:6379/0
export BRANE_REDIS_POD_URL=redis://default:SECRET@10.88.7.1:6379/0
export BRANE_REGISTRY=10.88.7.1:5000
export BRANE_AGENT_IMAGE=10.88.7.1:5000/brane-agent:0123
export BRANE_TOOLS_IMAGE=10.88.7.1:5000/tools:1
export TF_VAR_registry=10.88.7.1:5000
export TF_VAR_tools_image=10.88.7.1:5000/tools:1
export TF_VAR_callback_to=http://10.88.7.1:50052
export PATH=/clone/.cluster/bin:"$PATH"
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestShellsReadTheEnvironment checks that a shell reads every value unchanged.
func TestShellsReadTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		"plain":          "/clone/.cluster",
		"with a space":   "/my clone/.cluster",
		"with a quote":   "it's",
		"with a dollar":  "$HOME `id` $(id)",
		"empty":          "",
		"with backslash": `a\b\'c`,
		"over two lines": "a\nb",
	} {
		t.Run(name, func(t *testing.T) {
			script := renderEnvironment([]variable{{"VALUE", value}}, "/bin dir") + `printf %s "$VALUE"; printf '|%s' "${PATH%%:*}"`
			out, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", script).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if want := value + "|/bin dir"; string(out) != want {
				t.Errorf("got  %q\nwant %q", out, want)
			}
		})
	}
}

func TestEnvironmentFileIsPrivateAndTheMirrorIsThere(t *testing.T) {
	c, root := newDirectory(t), t.TempDir()
	if err := writeEnvironment(c, root, "/cache/kube", "1.30", "redis-server", "agent", "SECRET"); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.path("env"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("env has mode %v, want 0600", info.Mode().Perm())
	}
	if _, err := os.Stat(root + "/.bin/mirror"); err != nil {
		t.Error(err)
	}
	cli, err := os.ReadFile(c.path("terraform.tfrc"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(cli), `path    = "`+root+`/.bin/mirror"`) {
		t.Errorf("the CLI configuration does not name the mirror:\n%s", cli)
	}
	kubectl, err := os.ReadFile(c.path("bin/kubectl"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "#!/bin/sh\nexec /cache/kube kubectl \"$@\"\n"; string(kubectl) != want {
		t.Errorf("got  %q\nwant %q", kubectl, want)
	}
}
