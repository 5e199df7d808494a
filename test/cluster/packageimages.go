package main

import (
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/braneframework/terraform-provider-brane/tools/image"
)

// branePackage is a Brane package whose image is in the registry at the place where Brane would push it. Its functions are those of test/brane-package.
type branePackage struct {
	name, version string
	brane         string // the version of Brane that builds it
	file          string // its container.yml, below the repository's root
}

// branePackages returns the packages of the example, and one package with all kinds of functions for each version of Brane.
func branePackages() []branePackage {
	packages := []branePackage{
		{"text", "1.0.0", "0.6", "examples/packages/text.container.yml"},
		{"statistics", "1.0.0", "0.6", "examples/packages/statistics.container.yml"},
	}
	for _, brane := range []string{"0.4", "0.5", "0.6"} {
		packages = append(packages, branePackage{"probe", brane + ".0", brane, "test/brane-package/probe/tagged.yml"})
	}
	for _, brane := range []string{"1", "2", "3", "4"} {
		packages = append(packages, branePackage{"probe", brane + ".0.0", brane, "test/brane-package/probe/plain.yml"})
	}
	return packages
}

func packageImages(registry, root, program string) (map[string]remote.Taggable, error) {
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	images := map[string]remote.Taggable{}
	for _, p := range branePackages() {
		description, err := os.ReadFile(filepath.Join(root, p.file))
		if err != nil {
			return nil, err
		}
		if images[reference(registry, "library/"+p.name, p.version)], err = packageImage(content, description, p); err != nil {
			return nil, err
		}
	}
	return images, nil
}

// packageImage builds an image like Brane: branelet is the entry point, and the package's files and their description are in /opt/wd.
func packageImage(program, description []byte, p branePackage) (v1.Image, error) {
	file := "local_container.yml"
	if p.brane == "0.4" || p.brane == "0.5" {
		file = "container.yml"
	}
	return image.Of([]image.File{
		{Path: "/branelet", Mode: 0o755, Content: program},
		{Path: "/data", Mode: 0o755, Folder: true},
		{Path: "/opt", Mode: 0o755, Folder: true},
		{Path: "/opt/wd", Mode: 0o755, Folder: true},
		{Path: "/opt/wd/run", Mode: 0o755, Content: program},
		{Path: "/opt/wd/" + file, Mode: 0o644, Content: description},
	}, runtime.GOARCH, v1.Config{
		Entrypoint: []string{"/branelet"}, WorkingDir: "/opt/wd", Env: []string{"BRANELET_VERSION=" + p.brane},
		Labels: map[string]string{"brane.package": p.name + ":" + p.version}, // not set by Brane; for tests that read labels
	})
}
