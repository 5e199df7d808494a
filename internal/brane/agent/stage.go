package agent

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Stage is the init container: it puts the agent and the specification at Mount and the files at DataMount.
// It returns the step's name as well, for the message.
func Stage(ctx context.Context, p Paths, env func(string) string) (name string, err error) {
	p = p.withDefaults()
	step, err := ParseStep([]byte(env(EnvStep)))
	if err != nil {
		return "", fmt.Errorf("environment %s: %w", EnvStep, err)
	}
	if step, err = step.indexed(env(EnvIndex)); err != nil {
		return step.Name, err
	}
	access, err := readAccess(p.Secret)
	if err != nil {
		return step.Name, err
	}
	store, err := connect(ctx, access, step)
	if err != nil {
		return step.Name, err
	}
	if err := copySelf(p.binary()); err != nil {
		return step.Name, err
	}
	s := spec{Step: step, Access: access, Node: env(EnvNode), Pod: env(EnvPod)}
	if !step.Ahead { // otherwise the main container does it: it can begin at once, without the second that the kubelet takes between the two
		if err := s.stageIn(ctx, store, p.Data); err != nil {
			return step.Name, err
		}
	}
	return step.Name, writeSpec(p, s)
}

// stageIn restores what the step sees, unless it is committed already and nothing will run.
func (s *spec) stageIn(ctx context.Context, store *files.Store, data string) error {
	needs := s.Step.Needs[s.Step.Name]
	commits, err := store.Commits(ctx, append([]string{s.Step.Name}, needs...))
	if err != nil {
		return err
	}
	if _, done := commits[s.Step.Name]; done {
		return nil
	}
	tree, layer, err := union(ctx, store, needs, commits, s.Step.Needs)
	if err != nil {
		return err
	}
	s.Layer = layer
	s.Stamps, err = store.Restore(ctx, tree, s.Step.Reads, data)
	return err
}

// union is the tree that a step with these needs begins with, and its layer.
func union(ctx context.Context, store *files.Store, needs []string, commits map[string]files.Record, graph files.Ancestry) (files.Tree, files.Layer, error) {
	layers := map[string]files.Layer{}
	if len(needs) == 0 {
		input, err := store.Input(ctx)
		if err != nil {
			return files.Tree{}, "", err
		}
		layers[""] = input
	}
	for _, need := range needs {
		record, found := commits[need]
		if !found {
			return files.Tree{}, "", fmt.Errorf("step %q, which this step needs, has no commit: its files %w", need, files.ErrGone)
		}
		layers[need] = record.Layer
	}
	var parents []files.Parent
	for step, layer := range layers {
		tree, err := store.Tree(ctx, layer)
		if err != nil {
			return files.Tree{}, "", fmt.Errorf("files of step %q: %w", step, err)
		}
		if len(layers) == 1 {
			return tree, layer, nil
		}
		parents = append(parents, files.Parent{Step: step, Tree: tree})
	}
	tree, conflicts := files.Union(parents, graph)
	if conflicts != nil {
		return files.Tree{}, "", fmt.Errorf("bring the files of its parents together: %w; let one of them need the other, or write to other paths", &files.ConflictError{Conflicts: conflicts})
	}
	layer, err := store.PutTree(ctx, tree)
	return tree, layer, err
}

// copySelf puts the running program where the main container finds it.
func copySelf(to string) (err error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("copy the agent: %w", err)
	}
	defer self.Close()                                                   // it was only read
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755) //nolint:gosec // another user may have to run it
	if err != nil {
		return fmt.Errorf("copy the agent: %w", err)
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	if _, err := io.Copy(f, self); err != nil {
		return fmt.Errorf("copy the agent: %w", err)
	}
	// The umask may have taken the right to run it.
	return f.Chmod(0o755)
}
