package fileset_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// openLifecycle returns a file set in a Redis.
func openLifecycle(t *testing.T, url string) *acctest.Lifecycle {
	t.Helper()
	s := acctest.NewProtocol(t)
	s.RequireNoErrors(s.Configure(acctest.Object{"redis": acctest.Object{"url": url}}, false).Diagnostics)
	return s.NewLifecycle("brane_file_set")
}

func isIntact(t *testing.T, l *acctest.Lifecycle) {
	t.Helper()
	l.RequireNoErrors(l.Refresh())
	if !l.Exists() {
		t.Fatal("the files of the other resource are lost")
	}
	if drift := l.DecodeAttributes(l.Schema(), l.State)["drift"]; !drift.IsNull() && !strings.HasSuffix(drift.String(), "<>") {
		t.Errorf("drift is %s", drift)
	}
}

func countKeys(t *testing.T, client redis.UniversalClient, want int64) {
	t.Helper()
	if found := client.DBSize(t.Context()).Val(); found != want {
		t.Errorf("Redis has %d keys, and not %d", found, want)
	}
}

var corpus = acctest.Object{"name": "corpus", "files": acctest.Object{"a": acctest.Object{"content": "kept"}}}

// Two resources with the same name and content: the files stay until both are destroyed, in either order, also after an update.
func TestFileSetOfTwoResources(t *testing.T) {
	for name, laterFirst := range map[string]bool{"the later one first": true, "the earlier one first": false} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, "--appendonly", "yes")
			one, other := openLifecycle(t, server.URL()), openLifecycle(t, server.URL())
			one.RequireNoErrors(one.Apply(corpus))
			other.RequireNoErrors(other.Apply(corpus))
			changed := acctest.Object{"name": "corpus", "files": acctest.Object{"a": acctest.Object{"content": "changed"}}}
			one.RequireNoErrors(one.Apply(changed))
			other.RequireNoErrors(other.Apply(changed))
			if laterFirst {
				one, other = other, one
			}
			if got := acctest.FormatDiagnostics(one.Apply(nil)); !strings.Contains(got, "WARNING: File set kept") {
				t.Errorf("got %s", got)
			}
			isIntact(t, other)
			if got := acctest.FormatDiagnostics(other.Apply(nil)); got != "" {
				t.Errorf("got %s", got)
			}
			countKeys(t, server.Client(), 0)
		})
	}
}

// A resource whose creation has failed is in no state. It must not be an owner, as nothing would remove it.
func TestFileSetAfterAFailedCreate(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes")
	client := server.Client()
	permit := func(rules ...any) {
		acctest.NoError(t, client.Do(t.Context(), append([]any{"ACL", "SETUSER", "limited"}, rules...)...).Err())
	}
	permit("on", ">secret", "~*", "&*", "+@all")
	one, first := openLifecycle(t, server.URL()), openLifecycle(t, strings.Replace(server.URL(), "redis://", "redis://limited:secret@", 1))
	one.RequireNoErrors(one.Apply(corpus))
	first.RequireNoErrors(first.Apply(acctest.MergeObjects(corpus, acctest.Object{"name": "first"}))) // the provider checks its permissions once
	permit("-scan")                                                                                   // with which unused chunks are deleted, after the record is written
	failing := first.NewLifecycle("brane_file_set")
	if got := acctest.FormatDiagnostics(failing.Apply(corpus)); !strings.Contains(got, "Failed to store file set") || failing.Exists() {
		t.Fatalf("got %s", got)
	}
	permit("+scan")
	first.RequireNoErrors(first.Apply(nil))
	isIntact(t, one)
	if got := acctest.FormatDiagnostics(one.Apply(nil)); got != "" {
		t.Errorf("got %s", got)
	}
	countKeys(t, client, 0)
}

// An imported set has the owners of all resources that have stored it, of which there may be none any more.
func TestImportedFileSetIsDestroyed(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes")
	for range 2 { // resources whose state is lost
		lost := openLifecycle(t, server.URL())
		lost.RequireNoErrors(lost.Apply(corpus))
	}
	s := openLifecycle(t, server.URL()).Protocol
	l := s.Import("brane_file_set", tfprotov6.ImportResourceStateRequest{ID: "corpus"})
	l.RequireNoErrors(l.Refresh())
	if got := acctest.FormatDiagnostics(l.Apply(nil)); got != "" {
		t.Errorf("got %s", got)
	}
	countKeys(t, server.Client(), 0)
}
