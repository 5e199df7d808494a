package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestConfigurationFiles renders the configuration files for a directory with a space in its name.
func TestConfigurationFiles(t *testing.T) {
	c := cluster{dir: "/home/me/my clone/.cluster", number: 7}
	for name := range c.configPaths() {
		t.Run(name, func(t *testing.T) {
			got, err := render(name, c.settings("SECRET"))
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata/config", name)
			if *update {
				if err := os.WriteFile(golden, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("%s differs (go test -update writes it):\n%s", golden, got)
			}
		})
	}
}

func TestEveryTemplateHasAPlace(t *testing.T) {
	files, err := configFiles.ReadDir("config")
	if err != nil {
		t.Fatal(err)
	}
	paths := newDirectory(t).configPaths()
	for _, f := range files {
		if paths[f.Name()] == "" {
			t.Errorf("config/%s is not written", f.Name())
		}
	}
	if len(files) != len(paths) {
		t.Errorf("%d templates for %d paths", len(files), len(paths))
	}
}

func TestConfigurationHoldsAPasswordAndIsPrivate(t *testing.T) {
	c := newDirectory(t)
	if err := writeConfig(c, "SECRET"); err != nil {
		t.Fatal(err)
	}
	for _, path := range c.configPaths() {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", path, info.Mode().Perm())
		}
	}
}
