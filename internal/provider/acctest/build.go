package acctest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
)

// builtVersion is the version under which [NewCLI] installs the provider. The provider itself has none, like the images of the test cluster.
const builtVersion = "0.0.1"

// buildProvider builds the program that users get, without the race detector. The packages, whose tests run concurrently, share it: go build replaces the file
// only if the code has changed.
var buildProvider = sync.OnceValues(func() (binary string, err error) {
	directory := RepositoryPath(".bin/acctest")
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(directory, ".lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	binary = filepath.Join(directory, "terraform-provider-brane")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = RepositoryPath(".")
	build.Env = append(os.Environ(), "GOTMPDIR="+directory) // so that go build renames the file, and does not overwrite one that is running
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the provider: %w\n%s", err, out)
	}
	return binary, nil
})

// linkOrCopy makes a program available at another path, which can be on another file system.
func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o700) //nolint:gosec // it is a program
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
