//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/braneframework/terraform-provider-brane/"

// TestImports checks that packages do not depend on what their package comments exclude.
func TestImports(t *testing.T) {
	for name, banned := range map[string][]string{
		"internal/brane/files": {"k8s.io/", "sigs.k8s.io/", "github.com/hashicorp/", module},
		"internal/brane/agent": {"k8s.io/", "sigs.k8s.io/", "github.com/hashicorp/", "net/http"},
		"cmd/brane-agent":      {"k8s.io/", "sigs.k8s.io/", "github.com/hashicorp/", "net/http", "go.yaml.in/"},
		// A separate library, small enough for the agent.
		"internal/brane/branelet":             {"k8s.io/", "sigs.k8s.io/", "github.com/", "go.yaml.in/", "net"},
		"internal/brane/branelet/packagefile": {"k8s.io/", "sigs.k8s.io/", "github.com/", "net"},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := exec.Command("go", "list", "-deps", module+name).Output() // names from the table
			if err != nil {
				t.Fatal(err)
			}
			for _, dependency := range strings.Fields(string(list)) {
				for _, prefix := range banned {
					if strings.HasPrefix(dependency, prefix) && !strings.HasPrefix(dependency, module+name) { // packages below it belong to it
						t.Errorf("it depends on %s", dependency)
					}
				}
			}
		})
	}
}

// maxSize limits the size of the agent in bytes, because each step copies it.
const maxSize = 9_200_000

// TestTheAgentIsSmallAndStatic builds the agent like a release.
func TestTheAgentIsSmallAndStatic(t *testing.T) {
	at := filepath.Join(t.TempDir(), "brane-agent")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", at, ".") // the directory of the test
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	info, err := os.Stat(at)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxSize {
		t.Errorf("it has %d bytes, more than %d", info.Size(), maxSize)
	}
	text, err := exec.Command(at, "version").CombinedOutput() // the agent that was just built
	if err != nil || string(text) != "dev\n" {
		t.Errorf("version says %q, %v", text, err)
	}
	content, err := os.ReadFile(at) // the agent that was just built
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "ld-linux") {
		t.Error("it needs a dynamic linker, which a scratch image does not have")
	}
}
