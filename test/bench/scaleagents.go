package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow"
	"github.com/braneframework/terraform-provider-brane/internal/brane/workflow/jobspec"
)

// agents commits the files of steps as the agents in their pods would.
type agents struct {
	graph workflow.Graph
	store *files.Store
	dir   string

	mu           sync.Mutex
	commits      []time.Time                             // in the order in which they were announced
	fingerprints map[string]map[string]files.Fingerprint // of the indexes of each step
}

func newAgents(l *lab, run scaleRun) (*agents, error) {
	graph, err := workflow.NewGraph(run.graphSteps())
	if err != nil {
		return nil, err
	}
	store, err := files.Open(files.Config{Redis: l.redis, Run: run.ID, Deadline: time.Now().Add(time.Hour)})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "brane-bench-")
	return &agents{graph: graph, store: store, dir: dir, fingerprints: map[string]map[string]files.Fingerprint{}}, err
}

// close deletes the run's files.
func (a *agents) close(ctx context.Context) error {
	return errors.Join(os.RemoveAll(a.dir), a.store.Delete(context.WithoutCancel(ctx))) // also after Ctrl-C
}

// runStep stores one file and commits.
func (a *agents) runStep(ctx context.Context, pod *corev1.Pod) error {
	step, found := jobspec.FindAgentStep(&batchv1.Job{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: pod.Spec}}})
	if !found {
		return errors.New("it has no description of its step")
	}
	key := files.ResultKey{Step: step.Name, Fingerprint: files.NewFingerprint(step.Configuration, step.Seen)}
	name := "result" // a chain passes one file on
	if index, isIndex := pod.Labels[batchv1.JobCompletionIndexAnnotation]; isIndex {
		key.Step += "." + index
		key.Fingerprint = a.indexFingerprints(step.Name, step.Seen)[key.Step]
		name = "result-" + index
	}
	if err := a.store.NoteStart(ctx, key, pod.Name, time.Now()); err != nil {
		return err
	}
	began := time.Now()
	data := filepath.Join(a.dir, string(pod.UID))
	if err := errors.Join(os.Mkdir(data, 0o700), os.WriteFile(filepath.Join(data, name), []byte(key.Step), 0o600)); err != nil {
		return err
	}
	stored, err := a.store.Snapshot(ctx, data, nil, nil, key.Step)
	if err = errors.Join(err, os.RemoveAll(data)); err != nil {
		return err
	}
	_, _, err = a.store.Commit(ctx, key, files.Record{
		Attempt: step.Attempt, Layer: stored.Layer, Content: stored.Content, Base: step.Layer, Started: began.UTC(), Ended: time.Now().UTC(), Pod: pod.Name, Node: pod.Spec.NodeName,
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.commits = append(a.commits, time.Now())
	return err
}

// indexFingerprints returns the fingerprints of the indexes of a step, which are computed once.
func (a *agents) indexFingerprints(step, seen string) map[string]files.Fingerprint {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fingerprints[step] == nil {
		a.fingerprints[step] = a.graph.Step(step).IndexFingerprints(seen)
	}
	return a.fingerprints[step]
}
