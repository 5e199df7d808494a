package main

import (
	"maps"
	"testing"
)

func TestEveryInputOfKubernetesNamesAnotherFile(t *testing.T) {
	inputs := map[string][]byte{"go.mod": []byte("a"), "go.sum": []byte("b"), "main.go": []byte("c")}
	seen := map[string]string{kubeFile("/cache", inputs, "go1.26.8"): "as it is", kubeFile("/cache", inputs, "go1.26.9"): "another Go"}
	for name := range inputs {
		changed := maps.Clone(inputs)
		changed[name] = []byte("changed")
		seen[kubeFile("/cache", changed, "go1.26.8")] = name
	}
	if len(seen) != 5 {
		t.Errorf("five different builds have %d files: %v", len(seen), seen)
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
