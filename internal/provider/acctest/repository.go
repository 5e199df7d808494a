package acctest

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// RepositoryPath returns the path of a file or directory of the repository. Tests run in the directory of their package.
func RepositoryPath(name string) string {
	root, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return filepath.Join(root, filepath.FromSlash(name))
		}
		if root == filepath.Dir(root) {
			panic("no parent directory of the test has a go.mod")
		}
		root = filepath.Dir(root)
	}
}

// RepositoryFiles returns the paths of the files in a directory of the repository, from the root of the repository and with slashes. It leaves out what a CLI has
// left there, as make quickstart does in examples/quickstart.
func RepositoryFiles(t testing.TB, directory string) []string {
	t.Helper()
	files, err := listConfiguration(RepositoryPath(directory))
	NoError(t, err)
	for i, file := range files {
		files[i] = path.Join(directory, file)
	}
	return files
}

// listConfiguration returns the files of a directory that a CLI has not left there, by their paths from that directory.
func listConfiguration(directory string) (files []string, err error) {
	err = fs.WalkDir(os.DirFS(directory), ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case IsLeftByCLI(entry.Name()) && entry.IsDir():
			return fs.SkipDir
		case !IsLeftByCLI(entry.Name()) && !entry.IsDir():
			files = append(files, file)
		}
		return nil
	})
	return files, err
}

// CopyRepositoryFiles copies a directory of the repository.
func CopyRepositoryFiles(t testing.TB, directory, to string) {
	t.Helper()
	for _, name := range RepositoryFiles(t, directory) {
		text, err := os.ReadFile(RepositoryPath(name))
		NoError(t, err)
		file := filepath.Join(to, filepath.FromSlash(strings.TrimPrefix(name, directory+"/")))
		NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		NoError(t, os.WriteFile(file, text, 0o600))
	}
}

// IsLeftByCLI reports whether a file or directory with this name is what Terraform or OpenTofu leaves next to a configuration.
func IsLeftByCLI(name string) bool {
	return name == ".terraform" || name == ".terraform.lock.hcl" || name == "crash.log" || strings.HasPrefix(name, "terraform.tfstate") || strings.HasPrefix(name, ".terraform.tfstate")
}
