// Command release builds the agent's image from the commit that is checked out, for all architectures, and pushes it or writes it into a folder.
//
//	release -version 1.2.3 -push ghcr.io/braneframework/brane-agent
//	release -layout dist/brane-agent
//
// It logs in with what docker and podman keep for the user of this machine.
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

// release tells on out what it has made, by its digest.
func release(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	root := flags.String("root", "../..", "folder of the repository; as seen from this program's module, where go -C starts it")
	version := flags.String("version", "dev", "version of the programs, and the image's tag")
	push := flags.String("push", "", "repository to push to")
	folder := flags.String("layout", "", "folder in which an OCI image layout is written")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || (*push == "") == (*folder == "") {
		return errors.New("want either -push REPOSITORY or -layout FOLDER")
	}
	// A name that is none is told before minutes of building.
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
	if *folder != "" {
		if err := write(*folder, index, *version); err != nil {
			return fmt.Errorf("write the image into %s: %w", *folder, err)
		}
		_, err = fmt.Fprintf(out, "%s@%s\n", *folder, digest)
		return err
	}
	if err := remote.Push(tag, index, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return fmt.Errorf("push image %s: %w", tag, err)
	}
	_, err = fmt.Fprintf(out, "%s@%s\n", tag, digest)
	return err
}

// write makes the index an entry of the folder's own, as it is in a registry, so that its digest is the same.
func write(folder string, index v1.ImageIndex, tag string) error {
	path, err := layout.Write(folder, empty.Index)
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
		return time.Time{}, fmt.Errorf("ask git for the commit's time: %w", err)
	}
	return time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
}
