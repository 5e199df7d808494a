package workflowrun_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/provider/acctest"
	"github.com/braneframework/terraform-provider-brane/internal/redistest"
)

// stored is a run in a state, and what Redis has of it.
type stored struct {
	planning
	files *files.Store
	redis *redistest.Server
}

func newStored(t *testing.T) stored {
	t.Helper()
	p := planning{acctest.NewProtocol(t), t, map[string]tftypes.Value{}}
	server := redistest.Start(t)
	p.RequireNoErrors(p.Configure(acctest.Object{
		"kubernetes": acctest.Object{"host": "https://203.0.113.8:6443", "token": "own"}, "redis": acctest.Object{"url": server.URL()},
	}, false).Diagnostics)
	store, err := files.Open(files.Config{Redis: server.Client(), Run: "trio-0123456789abcdef", Deadline: time.Now().Add(time.Hour)})
	acctest.NoError(t, err)
	return stored{p, store, server}
}

// fingerprintOf returns the fingerprint of a step in a state.
func (s stored) fingerprintOf(state tftypes.Value, step string) files.Fingerprint {
	s.t.Helper()
	value, _, err := tftypes.WalkAttributePath(state, tftypes.NewAttributePath().WithAttributeName("results").WithElementKeyString(step).WithAttributeName("fingerprint"))
	acctest.NoError(s.t, err)
	text, _ := value.(tftypes.Value)
	return files.Fingerprint(s.DecodeString(text))
}

// commit stores a result of each of these steps of a state, with one file.
func (s stored) commit(state tftypes.Value, steps ...string) {
	s.t.Helper()
	for _, step := range steps {
		directory := s.t.TempDir()
		acctest.NoError(s.t, os.WriteFile(filepath.Join(directory, step), []byte(step), 0o600))
		left, err := s.files.Snapshot(s.t.Context(), directory, nil, nil, step)
		acctest.NoError(s.t, err)
		_, _, err = s.files.Commit(s.t.Context(), files.ResultKey{Step: step, Fingerprint: s.fingerprintOf(state, step)}, files.Record{Attempt: 1, Layer: left.Layer, Started: time.Now(), Ended: time.Now()})
		acctest.NoError(s.t, err)
	}
}

// refresh returns the state and the private data after a refresh.
func (s stored) refresh(state tftypes.Value) (refreshed tftypes.Value, private []byte) {
	s.t.Helper()
	schema := s.Schemas.ResourceSchemas["brane_workflow_run"]
	resp, err := s.ReadResource(s.Context, &tfprotov6.ReadResourceRequest{TypeName: "brane_workflow_run", CurrentState: s.EncodeValue(schema.ValueType(), state)})
	acctest.NoError(s.t, err)
	s.RequireNoErrors(resp.Diagnostics)
	refreshed, err = resp.NewState.Unmarshal(schema.ValueType())
	acctest.NoError(s.t, err)
	return refreshed, resp.Private
}

// The files of a step that the plan kept are in another layer after the apply, if the step does not see the inputs that have changed.
func TestRefreshOfAKeptStep(t *testing.T) {
	s := newStored(t)
	config := runTrio(acctest.Object{"outputs": nil})
	state := s.apply(config, nil)
	s.commit(state, "a", "b", "c")
	refreshed, private := s.refresh(state)
	for name, prior := range map[string]tftypes.Value{"before": state, "after": refreshed} {
		if got, resp := s.plan(prior, private, config); got != "" || len(resp.RequiresReplace) > 0 {
			t.Errorf("the plan of the state %s the refresh is not empty: %s", name, got)
		}
	}
	if got, _ := s.plan(refreshed, private, withStep(config, "b", acctest.Object{"command": []any{"other"}})); got != "duration execution_id finished_at results[b] started_at status" {
		t.Errorf("for another command of b, unknown are %s", got)
	}
	records, err := s.files.Commits(t.Context(), map[string]files.Fingerprint{"a": s.fingerprintOf(state, "a")})
	acctest.NoError(t, err)
	digest, _, err := tftypes.WalkAttributePath(refreshed, tftypes.NewAttributePath().WithAttributeName("results").WithElementKeyString("a").WithAttributeName("digest"))
	acctest.NoError(t, err)
	if text, _ := digest.(tftypes.Value); s.DecodeString(text) != string(records["a"].Layer) {
		t.Errorf("the digest of a is %s, and its files are in %s", text, records["a"].Layer)
	}
}

// Another output is read although the commit of a step is gone that did not write it, and whose successors have run.
func TestOutputOfAnotherStepThanTheGoneOne(t *testing.T) {
	s := newStored(t)
	schema := s.Schemas.ResourceSchemas["brane_workflow_run"]
	config := runTrio(acctest.Object{"outputs": nil})
	state := s.apply(config, nil)
	s.commit(state, "b", "c") // and not a
	refreshed, private := s.refresh(state)
	changed := acctest.MergeObjects(config, acctest.Object{"outputs": acctest.Object{"last": acctest.Object{"path": "c"}}})
	_, planned := s.plan(refreshed, private, changed)
	applied, err := s.ApplyResourceChange(t.Context(), &tfprotov6.ApplyResourceChangeRequest{
		TypeName: "brane_workflow_run", Config: s.EncodeObject(schema, changed), PriorState: s.EncodeValue(schema.ValueType(), refreshed), PlannedState: planned.PlannedState, PlannedPrivate: planned.PlannedPrivate,
	})
	acctest.NoError(t, err)
	s.RequireNoErrors(applied.Diagnostics)
}

// A step whose failure is allowed runs again if the failure has expired, and the plan shows it as soon as the run is executed.
func TestPlanOfAnExpiredFailure(t *testing.T) {
	s := newStored(t)
	config := withStep(runTrio(acctest.Object{"outputs": nil}), "c", acctest.Object{"allow_failure": true})
	values, results, failed := map[string]tftypes.Value{}, map[string]tftypes.Value{}, map[string]tftypes.Value{}
	state := s.apply(config, nil)
	acctest.NoError(t, state.As(&values))
	acctest.NoError(t, values["results"].As(&results))
	acctest.NoError(t, results["c"].As(&failed))
	failed["status"], failed["digest"] = tftypes.NewValue(tftypes.String, "failed"), tftypes.NewValue(tftypes.String, nil)
	results["c"] = tftypes.NewValue(results["c"].Type(), failed)
	values["results"] = tftypes.NewValue(values["results"].Type(), results)
	state = tftypes.NewValue(state.Type(), values)
	s.commit(state, "a", "b")
	acctest.NoError(t, s.files.SetFailure(t.Context(), files.ResultKey{Step: "c", Fingerprint: s.fingerprintOf(state, "c")}, []byte(`{"Step":"c"}`)))
	changed := withStep(config, "b", acctest.Object{"command": []any{"other"}})
	for _, runs := range []string{"b", "b c"} {
		refreshed, private := s.refresh(state)
		if got, _ := s.plan(refreshed, private, config); got != "" {
			t.Errorf("without a change, unknown are %s", got)
		}
		if got, want := first(s.plan(refreshed, private, changed)), "duration execution_id finished_at results["+runs+"] started_at status"; got != want {
			t.Errorf("for another command of b, unknown are %s\nwant %s", got, want)
		}
		s.redis.Client().Del(t.Context(), "brane:trio-0123456789abcdef:failed:c:"+string(s.fingerprintOf(state, "c")))
	}
}

func first(unknown string, _ *tfprotov6.PlanResourceChangeResponse) string { return unknown }
