package acctest

import (
	"os"
	"path/filepath"
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
