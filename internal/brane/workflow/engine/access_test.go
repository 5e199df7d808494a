package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/runtest"
	"github.com/braneframework/terraform-provider-brane/internal/testenv"
)

// The pods of a run use a Redis user that has access to this run alone. The user is removed during the run and created again, and the step
// does not notice.
func TestTheRunsUserIsRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	l := runtest.New(t)
	server, ok := l.Redis.(*redis.Client)
	if !ok {
		t.Fatalf("the client is %T", l.Redis)
	}
	run := l.NewRun(workflow.Step{
		Name: "long", Image: l.Getenv("BRANE_TOOLS_IMAGE"), Command: []string{"sh", "-c", "echo ready; while test ! -e /tmp/x; do sleep 4; touch /tmp/x; done; echo done > /data/out"},
	})
	run.Spec.Users = workflow.UsersRequire
	store := run.Clients.Results.Files()
	var made []string
	run.Options.Observe = func(event workflow.Event) {
		if event.Kind == workflow.RunDisturbed {
			made = append(made, event.Detail)
		}
	}
	removed := make(chan error, 1)
	go func() { removed <- removeUser(t.Context(), server, store, run.Spec.ID) }()
	result, err := run.Execute(t.Context())
	if err != nil || len(result.Failures) > 0 {
		t.Fatalf("the run ended with %+v, %v", result, err)
	}
	if err := <-removed; err != nil {
		t.Error(err)
	}
	if want := []string{"Redis had lost the user of the run; it was created again (1 times)"}; !slices.Equal(made, want) {
		t.Errorf("told: %q, want %q", made, want)
	}
	if users := server.ACLUsers(t.Context()).Val(); slices.Contains(users, files.UserName(run.Spec.ID, 0)) {
		t.Error("the user is still there when the run has ended")
	}
}

// removeUser waits until the agent has stored output of the step as the run's user, and removes that user.
func removeUser(ctx context.Context, server *redis.Client, store *files.Store, id string) error {
	err := testenv.Poll(ctx, func(ctx context.Context) (bool, error) {
		fingerprints, err := store.Fingerprints(ctx)
		fingerprint, isKnown := fingerprints["long"]
		if err != nil || !isKnown {
			return false, err
		}
		said, err := store.Log(ctx, files.ResultKey{Step: "long", Fingerprint: fingerprint})
		return strings.Contains(string(said), "ready"), err
	})
	if err != nil {
		return err
	}
	if n, err := server.ACLDelUser(ctx, files.UserName(id, 0)).Result(); err != nil || n != 1 {
		return errors.Join(errors.New("there was no user to remove"), err)
	}
	return nil
}
