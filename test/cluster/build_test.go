package main

import (
	"maps"
	"testing"
)

func TestSelectKubernetes(t *testing.T) {
	for version, modfile := range map[string]string{"": "go.mod", "1.37": "go.mod", "1.30": "1.30.mod", "1.36": "1.36.mod"} {
		t.Run(version, func(t *testing.T) {
			got, found, err := selectKubernetes("../..", version)
			if err != nil || got.modfile != modfile || version != "" && found != version {
				t.Errorf("got %s with %q, %v; want %s", got.modfile, found, err, modfile)
			}
		})
	}
	const want = `test/cluster/kube has no Kubernetes "1.3", only 1.30, 1.32, 1.34, 1.36, 1.37`
	if _, _, err := selectKubernetes("../..", "1.3"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEveryInputNamesAnotherFile(t *testing.T) {
	for _, u := range []upstream{kubernetes, containerd} {
		t.Run(u.name, func(t *testing.T) {
			inputs := map[string][]byte{}
			for _, name := range u.inputs() {
				inputs[name] = []byte(name)
			}
			others := u
			others.tags += "no_cri"
			seen := map[string]string{
				u.file("/cache", inputs, "go1.26.8"):      "as it is",
				u.file("/cache", inputs, "go1.26.9"):      "another Go",
				others.file("/cache", inputs, "go1.26.8"): "other build tags",
			}
			for name := range inputs {
				changed := maps.Clone(inputs)
				changed[name] = []byte("changed")
				seen[u.file("/cache", changed, "go1.26.8")] = name
			}
			if want := 3 + len(u.inputs()); len(seen) != want {
				t.Errorf("%d different builds have %d files: %v", want, len(seen), seen)
			}
		})
	}
}

func TestStamp(t *testing.T) {
	const want = "-s -w" +
		" -X k8s.io/component-base/version.gitVersion=v1.35.4 -X k8s.io/component-base/version.gitMajor=1" +
		" -X k8s.io/component-base/version.gitMinor=35 -X k8s.io/component-base/version.gitTreeState=clean" +
		" -X k8s.io/client-go/pkg/version.gitVersion=v1.35.4 -X k8s.io/client-go/pkg/version.gitMajor=1" +
		" -X k8s.io/client-go/pkg/version.gitMinor=35 -X k8s.io/client-go/pkg/version.gitTreeState=clean"
	if got := stamp("v1.35.4"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
