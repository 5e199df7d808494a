package engine

import (
	"errors"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/results"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

func TestARunBelongsToOnePlace(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store, err := results.Open(server.Client(), "wordcount-3f9a1c0227d5e8b4", workflow.Graph{})
	if err != nil {
		t.Fatal(err)
	}
	type place struct {
		spec    *workflow.Spec
		clients Clients
	}
	at := func(host, namespace string) place {
		client, err := kube.New(&rest.Config{Host: host})
		if err != nil {
			t.Fatal(err)
		}
		return place{&workflow.Spec{ID: "wordcount-3f9a1c0227d5e8b4", Namespace: namespace}, Clients{Kube: client, Results: store}}
	}
	first := at("https://203.0.113.7:6443", "brane")
	if err := CheckLocation(t.Context(), first.spec, first.clients); err != nil {
		t.Fatalf("nobody has it yet: %v", err)
	}
	if err := store.Files().SetMeta(t.Context(), formatLocation(first.spec, first.clients.Kube)); err != nil {
		t.Fatal(err)
	}
	if err := CheckLocation(t.Context(), first.spec, first.clients); err != nil {
		t.Errorf("its own place is refused: %v", err)
	}
	for name, other := range map[string]place{
		"another namespace": at("https://203.0.113.7:6443", "other"),
		"another cluster":   at("https://203.0.113.8:6443", "brane"),
	} {
		var taken *workflow.RunExistsElsewhereError
		if err := CheckLocation(t.Context(), other.spec, other.clients); !errors.As(err, &taken) || taken.Place != "namespace brane of the cluster at https://203.0.113.7:6443" {
			t.Errorf("%s gets %v", name, err)
		}
	}
}
