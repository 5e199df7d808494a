// Command launcher runs a real Kubernetes on one machine for the provider's tests and examples: etcd,
// the control plane, a kubelet with containerd, a container registry that images are pulled from, and Redis.
//
//	launcher up    -dir .cluster   build what is missing, start what is not running, write .cluster/env
//	launcher down  -dir .cluster   stop the cluster and keep its data
//	launcher clean -dir .cluster   stop the cluster and remove its directory
//	launcher images -registry HOST:PORT   build the images, push them to a registry, and print the variables that name them
//
// The files of a cluster are in its directory. Its addresses, its bridge and its cgroup are derived from its number,
// which claims under /run assign to clusters. Of the provider the launcher uses only the agent, which it puts into an
// image. up returns when the cluster is ready; only the programs of the cluster keep running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const usage = `usage: launcher up|down|clean -dir DIRECTORY [flags], or launcher images -registry HOST:PORT; launcher up -h lists the flags`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// options are the command line options.
type options struct {
	dir    string // the cluster's directory, absolute
	root   string // the provider's repository, absolute
	cache  string // directory of the built Kubernetes and containerd
	agent  string // path of a built brane-agent; if empty, it is built from the repository
	kube   string // the version of Kubernetes, for example "1.30"; empty means the one in test/cluster/kube/go.mod
	redis  string // the server: a program of a Debian package of the same name
	number int    // the first number to try

	registry string // of the command images
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	var o options
	flags := flag.NewFlagSet("launcher "+args[0], flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", ".cluster", "directory of the cluster")
	switch args[0] {
	case "up":
		flags.StringVar(&o.root, "root", ".", "directory of the provider's repository")
		flags.StringVar(&o.cache, "cache", "", "directory for Kubernetes and containerd, once built (default ROOT/.cache)")
		flags.StringVar(&o.agent, "agent", "", "a built, static brane-agent (default: build ROOT/cmd/brane-agent)")
		flags.StringVar(&o.kube, "kube", "", "version of Kubernetes, for example 1.30 (default: the one in ROOT/test/cluster/kube/go.mod)")
		flags.StringVar(&o.redis, "redis", "redis-server", "the Redis server: redis-server or valkey-server")
		flags.IntVar(&o.number, "number", 1, "cluster number to try first; if it is taken, the next free one is used")
	case "images":
		flags.StringVar(&o.root, "root", ".", "directory of the provider's repository")
		flags.StringVar(&o.registry, "registry", "", "host:port of a registry that accepts plain HTTP and from which the nodes pull")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; %s", flags.Arg(0), usage)
	}
	var err error
	if o.dir, err = realPath(o.dir); err != nil {
		return err
	}
	switch args[0] {
	case "up":
		if err := o.complete(); err != nil {
			return err
		}
		return up(ctx, o, newStatus(os.Stderr))
	case "images":
		if o.registry == "" {
			return fmt.Errorf("-registry is missing; %s", usage)
		}
		if o.root, err = realPath(o.root); err != nil {
			return err
		}
		return images(ctx, o, os.Stdout, newStatus(os.Stderr))
	case "down":
		return down(ctx, o.dir, newStatus(os.Stderr))
	case "clean":
		return clean(ctx, o.dir, newStatus(os.Stderr))
	case nodeCommand: // started by up in new namespaces
		return node(o.dir)
	case gatewayCommand: // started by up
		return gateway(ctx, o.dir)
	}
	return fmt.Errorf("unknown command %q; %s", args[0], usage)
}

// complete sets the options that depend on the repository's directory.
func (o *options) complete() error {
	var err error
	if o.root, err = realPath(o.root); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(o.root, "test/cluster/kube/go.mod")); err != nil {
		return fmt.Errorf("%s is not the provider's repository (no test/cluster/kube): run from its root directory, or set -root", o.root)
	}
	if o.cache == "" {
		o.cache = filepath.Join(o.root, ".cache")
	}
	if o.cache, err = realPath(o.cache); err != nil {
		return err
	}
	if o.agent != "" {
		if o.agent, err = realPath(o.agent); err != nil {
			return err
		}
	}
	if o.number < 1 || o.number > lastNumber {
		return fmt.Errorf("-number %d: want 1 to %d", o.number, lastNumber)
	}
	return nil
}

// realPath resolves symbolic links, so that a directory has only one name in claims.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	switch resolved, err := filepath.EvalSymlinks(path); {
	case err == nil:
		return resolved, nil
	case errors.Is(err, os.ErrNotExist):
		return path, nil
	default:
		return "", err
	}
}
