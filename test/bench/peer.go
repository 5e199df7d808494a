package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// peerProgram is a program that does the same as a part of this project.
type peerProgram struct {
	name       string // of its column
	executable string
	variable   string // names its path
}

// peerPrograms are all peers.
var peerPrograms = []peerProgram{
	{kubernetesProvider, "terraform-provider-kubernetes", "BENCH_KUBERNETES_PROVIDER"},
	{juiceFS, "juicefs", "BENCH_JUICEFS"},
	{argoWorkflows, "workflow-controller", "BENCH_ARGO"},
}

// findPeers returns the absolute paths of the peers by their names: those that variables name, or that are on the PATH. The others are not measured.
func findPeers() (map[string]string, error) {
	peers := map[string]string{}
	for _, p := range peerPrograms {
		path := os.Getenv(p.variable)
		if path == "" {
			found, err := exec.LookPath(p.executable)
			if errors.Is(err, exec.ErrNotFound) {
				continue
			} else if err != nil {
				return nil, err
			}
			path = found
		}
		path, err := filepath.Abs(path)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil {
			return nil, fmt.Errorf("find %s, see %s: %w", p.name, p.variable, err)
		}
		peers[p.name] = path
	}
	return peers, nil
}

// readModuleVersion returns the version of the module with the package of a Go program. It was built in that module, or as a tool of another one.
func readModuleVersion(path string) (string, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", err
	}
	version, longest := info.Main.Version, ""
	for _, module := range info.Deps {
		if (info.Path == module.Path || strings.HasPrefix(info.Path, module.Path+"/")) && len(module.Path) > len(longest) {
			version, longest = module.Version, module.Path
		}
	}
	return version, nil
}
