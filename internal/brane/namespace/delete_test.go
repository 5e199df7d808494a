package namespace_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/braneframework/terraform-provider-brane/internal/brane/kube"
	"github.com/braneframework/terraform-provider-brane/internal/brane/namespace"
)

// TestDeleteKeepsNamespaceOfOthers deletes a namespace that was deleted before, after others have created one with the same name.
func TestDeleteKeepsNamespaceOfOthers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method != http.MethodDelete {
			fmt.Fprint(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"ns","uid":"theirs"}}`)
			return
		}
		if body, err := io.ReadAll(r.Body); err != nil || !bytes.Contains(body, []byte("ours")) { // the precondition, in protobuf
			t.Errorf("the request deletes any namespace of the name: %q, %v", body, err)
		}
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","code":409}`)
	}))
	t.Cleanup(server.Close)
	client, err := kube.New(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := namespace.Delete(t.Context(), client, "ns", "ours"); err != nil {
		t.Error(err)
	}
}
