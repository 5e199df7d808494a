package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
)

// makeBridge creates the bridge for pods. It exists before the first pod, so that Redis and the registry can listen on
// its address. An existing bridge with that name is replaced.
func makeBridge(ctx context.Context, c cluster) error {
	if err := removeBridge(ctx, c); err != nil {
		return err
	}
	// Without a fixed MAC address, a bridge uses that of one of its ports, which changes when a pod is created or
	// deleted, and long-lived connections of pods to the host hang.
	mac := fmt.Sprintf("0a:58:0a:58:%02x:01", c.number)
	for _, args := range [][]string{
		{"link", "add", "name", c.bridge(), "address", mac, "type", "bridge"},
		{"address", "add", c.gateway() + "/24", "dev", c.bridge()},
		// There is no kube-proxy. Pods must reach only one Service, whose address is assigned to the bridge.
		{"address", "add", c.service() + "/32", "dev", c.bridge()},
		{"link", "set", "dev", c.bridge(), "up"},
	} {
		if err := run(ctx, "ip", args...); err != nil {
			return err
		}
	}
	return nil
}

func removeBridge(ctx context.Context, c cluster) error {
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(interfaces, func(i net.Interface) bool { return i.Name == c.bridge() }) {
		return nil
	}
	return run(ctx, "ip", "link", "delete", "dev", c.bridge())
}

// run runs a command and includes its output in the error.
func run(ctx context.Context, name string, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}
