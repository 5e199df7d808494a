package files

import (
	"strings"
	"testing"

	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// TestDatabasesAreSeparate uses the same run in two databases of one server, which share channels and users.
func TestDatabasesAreSeparate(t *testing.T) {
	server := redistest.Start(t)
	ctx := t.Context()
	address := func(database string) string { return strings.TrimSuffix(server.URL(), "0") + database }
	ours, theirs := open(t, dial(t, address("0")), "shared"), open(t, dial(t, address("1")), "shared")
	events := ours.Events(ctx, Steps, Cancellation)
	<-events
	<-events // both topics

	if err := theirs.Cancel(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := theirs.Commit(ctx, resultOf("count"), Record{Layer: someLayer}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ours.Commit(ctx, resultOf("own"), Record{Layer: someLayer}); err != nil {
		t.Fatal(err)
	}
	if got, want := <-events, (Event{"own", Committed}); got != want {
		t.Errorf("the first event is %v, want %v", got, want)
	}
	if term, err := ours.CancelledTerm(ctx); err != nil || term != 0 {
		t.Errorf("the run in the other database was cancelled in term %d, %v", term, err)
	}

	name, err := ours.GrantUser(ctx, "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.GrantUser(ctx, "0ther"); err != nil {
		t.Fatal(err)
	}
	if err := dial(t, strings.Replace(address("0"), "://", "://"+name+":s3cret@", 1)).Exists(ctx, ours.keyOf("in")).Err(); err != nil {
		t.Errorf("our user, after the other one was created: %v", err)
	}
	if err := theirs.RevokeUser(ctx); err != nil {
		t.Fatal(err)
	}
	if lost, err := ours.isUserLost(ctx); err != nil || lost {
		t.Errorf("our user is lost: %t, %v", lost, err)
	}
}
