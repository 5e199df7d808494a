package main

import "testing"

func TestPackageImage(t *testing.T) {
	for brane, file := range map[string]string{"0.5": "container.yml", "0.6": "local_container.yml"} {
		image, err := packageImage([]byte("ELF"), []byte("name: a"), branePackage{brane: brane})
		if err != nil {
			t.Fatal(err)
		}
		want := "0755 branelet = ELF\n0755 data/\n0755 opt/\n0755 opt/wd/\n0644 opt/wd/" + file + " = name: a\n0755 opt/wd/run = ELF\n"
		if got := listing(t, image); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Config.Entrypoint[0] != "/branelet" || config.Config.WorkingDir != "/opt/wd" {
			t.Errorf("got %+v", config.Config)
		}
	}
}

func TestPackagesHaveNamesOfTheirOwn(t *testing.T) {
	images, err := packageImages("", "../..", "packageimages_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != len(branePackages()) {
		t.Errorf("%d packages result in %d images", len(branePackages()), len(images))
	}
}
