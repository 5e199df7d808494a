package engine

import (
	"errors"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

func TestARunBelongsToOnePlace(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	at := func(host, namespace string) *Run {
		client, err := kube.New(&rest.Config{Host: host})
		if err != nil {
			t.Fatal(err)
		}
		return &Run{ID: "wordcount-3f9a1c02", Kube: client, Namespace: namespace, Redis: server.Client(), deadline: time.Now().Add(time.Hour)}
	}
	first := at("https://203.0.113.7:6443", "brane")
	if err := first.checkPlace(t.Context()); err != nil {
		t.Fatalf("nobody has it yet: %v", err)
	}
	store, err := files.Open(files.Config{Redis: first.Redis, Run: first.ID, Deadline: first.deadline})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.SetMeta(t.Context(), first.placeMeta()); err != nil {
		t.Fatal(err)
	}
	if err := first.checkPlace(t.Context()); err != nil {
		t.Errorf("its own place is refused: %v", err)
	}
	for name, other := range map[string]*Run{
		"another namespace": at("https://203.0.113.7:6443", "other"),
		"another cluster":   at("https://203.0.113.8:6443", "brane"),
	} {
		var taken *workflow.RunExistsElsewhereError
		if err := other.checkPlace(t.Context()); !errors.As(err, &taken) || taken.Place != "namespace brane of the cluster at https://203.0.113.7:6443" {
			t.Errorf("%s gets %v", name, err)
		}
	}
}
