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

// makeBridge makes the network that pods are put on. It is there before the first pod, so that Redis and the
// registry can listen on its address. A bridge of that name that is left over is made anew.
func makeBridge(ctx context.Context, c cluster) error {
	if err := removeBridge(ctx, c); err != nil {
		return err
	}
	// With a fixed MAC: a bridge takes over that of one of its ports and changes it with every pod that comes
	// or goes, and a pod's long-lived connection to the host then hangs.
	mac := fmt.Sprintf("0a:58:0a:58:%02x:01", c.number)
	for _, args := range [][]string{
		{"link", "add", "name", c.bridge(), "address", mac, "type", "bridge"},
		{"address", "add", c.gateway() + "/24", "dev", c.bridge()},
		// There is no kube-proxy, and one Service that pods must reach: here its address is the machine's own.
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

// run runs a short command and puts what it said into the error.
func run(ctx context.Context, name string, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}
