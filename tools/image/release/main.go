// Command release builds the agent's image from the checked-out commit, for all architectures, and pushes it or writes it to a directory.
//
//	release -version 1.2.3 -push ghcr.io/braneframework/brane-agent
//	release -layout dist/brane-agent
//
// It uses the credentials that docker or podman store for the current user.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/braneframework/terraform-provider-brane/tools/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := release(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release writes the reference and the digest of the image to out.
func release(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	root := flags.String("root", "../..", "directory of the repository, relative to this module, in which go -C starts the program")
	version := flags.String("version", "dev", "version of the programs, and the image's tag")
	push := flags.String("push", "", "repository to push to")
	directory := flags.String("layout", "", "directory for an OCI image layout")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || (*push == "") == (*directory == "") {
		return errors.New("want either -push REPOSITORY or -layout DIRECTORY")
	}
	// An invalid name is reported before a build of several minutes.
	var tag name.Tag
	if *push != "" {
		var err error
		if tag, err = name.NewTag(*push + ":" + *version); err != nil {
			return err
		}
	}
	created, err := commitTime(ctx, *root)
	if err != nil {
		return err
	}
	r := image.Release{Version: *version, Created: created}
	programs, err := r.Build(ctx, *root)
	if err != nil {
		return err
	}
	index, err := r.Agent(programs)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	if *directory != "" {
		if err := write(*directory, index, *version); err != nil {
			return fmt.Errorf("write the image to %s: %w", *directory, err)
		}
		_, err = fmt.Fprintf(out, "%s@%s\n", *directory, digest)
		return err
	}
	if err := remote.Push(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push image %s: %w", tag, err)
	}
	_, err = fmt.Fprintf(out, "%s@%s\n", tag, digest)
	return err
}

// write adds the index as an entry of the layout, as in a registry, so that its digest is the same.
func write(directory string, index v1.ImageIndex, tag string) error {
	path, err := layout.Write(directory, empty.Index)
	if err != nil {
		return err
	}
	return path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag}))
}

func commitTime(ctx context.Context, root string) (time.Time, error) {
	cmd := exec.CommandContext(ctx, "git", "show", "--no-patch", "--format=%cI", "HEAD")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("read the time of the commit from git: %w", err)
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
}
