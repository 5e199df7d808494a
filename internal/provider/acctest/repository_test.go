package acctest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// The tests of documents pass also in a repository in which somebody has applied an example.
func TestListConfiguration(t *testing.T) {
	directory := t.TempDir()
	for _, name := range []string{
		"a/main.tf", "a/.not-applied", "a/terraform.tfvars", "a/terraform.tfstate", "a/terraform.tfstate.backup", "a/.terraform.tfstate.lock.info", "a/.terraform.lock.hcl",
		"a/.terraform/modules/m/main.tf", "b/c/main.tf", "b/crash.log",
	} {
		file := filepath.Join(directory, name)
		NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		NoError(t, os.WriteFile(file, nil, 0o600))
	}
	NoError(t, os.Symlink(directory, filepath.Join(directory, "a/.terraform/linux_amd64"))) // of a development build
	files, err := listConfiguration(directory)
	if want := []string{"a/.not-applied", "a/main.tf", "a/terraform.tfvars", "b/c/main.tf"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("got %q, %v, want %q", files, err, want)
	}
}
