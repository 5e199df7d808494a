package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
)

// machine describes what a part was measured on.
type machine struct {
	Processor string
	Cores     int
	Memory    string
	Kernel    string
	Load      string   // the load averages of 1, 5 and 15 minutes when the part began
	Versions  []string // of the commit and of all programs
}

// describeMachine reads /proc and asks the programs for their versions. Files are measured without a cluster.
func describeMachine(ctx context.Context, o options, hasCluster bool) (m machine, err error) {
	facts := map[string]string{}
	for _, name := range []string{"cpuinfo", "meminfo", "sys/kernel/osrelease", "loadavg"} {
		text, readErr := os.ReadFile(filepath.Join("/proc", name))
		err = errors.Join(err, readErr)
		facts[name] = strings.TrimSpace(string(text))
	}
	if err != nil {
		return m, err
	}
	kilobytes, err := strconv.Atoi(strings.TrimSuffix(findField(facts["meminfo"], "MemTotal"), " kB"))
	if err != nil {
		return m, fmt.Errorf("read the memory of the machine: %w", err)
	}
	load, _, _ := strings.Cut(facts["loadavg"], " ") // of the last minute
	m = machine{
		Processor: findField(facts["cpuinfo"], "model name"), Cores: runtime.NumCPU(), Memory: fmt.Sprintf("%.0f GiB", float64(kilobytes)/(1<<20)),
		Kernel: facts["sys/kernel/osrelease"], Load: load,
	}
	for _, command := range [][]string{{"git", "describe", "--always", "--dirty"}, {"go", "version"}, {"redis-server", "--version"}, {o.cli, "version"}} {
		said, err := exec.CommandContext(ctx, command[0], command[1:]...).Output()
		if err != nil {
			return m, fmt.Errorf("read the version of %s: %w", command[0], err)
		}
		m.Versions = append(m.Versions, parseVersion(string(said)))
	}
	m.Versions[0] = "commit " + m.Versions[0]
	if hasCluster {
		server, err := readServerVersion(ctx)
		if err != nil {
			return m, err
		}
		m.Versions = append(m.Versions, server)
	}
	for _, p := range peerPrograms {
		if path, isMeasured := o.peers[p.name]; isMeasured {
			version, err := readModuleVersion(path)
			if err != nil {
				return m, fmt.Errorf("read the version of %s: %w", p.name, err)
			}
			m.Versions = append(m.Versions, p.name+" "+version)
		}
	}
	return m, nil
}

// readServerVersion returns the version of the cluster that KUBECONFIG names.
func readServerVersion(ctx context.Context) (string, error) {
	config, err := kube.Connection{ConfigPath: os.Getenv("KUBECONFIG")}.Config()
	if err != nil {
		return "", fmt.Errorf("connect to the cluster of KUBECONFIG: %w", err)
	}
	client, err := kube.New(config)
	if err != nil {
		return "", err
	}
	server, err := client.ServerVersion(ctx)
	if err != nil {
		return "", err
	}
	return "Kubernetes " + server.String(), nil
}

// findField returns the value of the first field with this name in a file of /proc.
func findField(text, name string) string {
	match := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + `\s*:\s*(.*?)\s*$`).FindStringSubmatch(text)
	if match == nil {
		return "unknown"
	}
	return match[1]
}

// programVersion is what programs print about themselves, in the first line.
var programVersion = regexp.MustCompile(`^(Terraform|OpenTofu|Redis|go)\D*([0-9]+\.[0-9]+\.[0-9]+\S*)`)

// parseVersion returns a program and its version without what is not needed; text that has another form stays as it is.
func parseVersion(said string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	if match := programVersion.FindStringSubmatch(line); match != nil {
		return match[1] + " " + match[2]
	}
	return line
}
