package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Stage is the init container: it writes the agent and the specification to Mount and the files to DataMount. It returns the exit code.
func Stage(p Paths, env func(string) string, stderr io.Writer) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := stopper{cancel: cancel}
	defer signals.catchSignals()()
	name, err := stageFiles(ctx, p.withDefaults(), env, stderr)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		return 0
	}
	_, _ = io.WriteString(stderr, Message(name, Explain(beforeStart(err)))) // there is no other place to report it to
	return exitCode(err, ExitStageIn)
}

// stageFiles implements [Stage]. It also returns the step's name, for the message.
func stageFiles(ctx context.Context, p Paths, env func(string) string, stderr io.Writer) (name string, err error) {
	s, err := specFrom(env)
	name = s.Step.Name
	if err != nil {
		return name, err
	}
	if s.Access, err = readAccess(p.Secret); err != nil {
		return name, err
	}
	// There is no other place to report it to.
	config, err := connectRun(ctx, s.Access, s.Step, false, func(text string) { _, _ = io.WriteString(stderr, Message(name, text)) })
	if err != nil {
		return name, err
	}
	store, err := files.Open(config)
	if err != nil {
		return name, err
	}
	if err := s.Step.ReadItem(ctx, store); err != nil {
		return name, err
	}
	if err := copySelf(p.binaryFile()); err != nil {
		return name, err
	}
	// Otherwise the main container does it. With Ahead, that saves the second that the kubelet takes between the two containers.
	if !s.Step.Ahead && !s.Step.InMain {
		stamps, err := openStamps(p.stampsFile())
		if err != nil {
			return name, err
		}
		if err := errors.Join(s.stageIn(ctx, config, p.Data, stamps), stamps.Close()); err != nil {
			return name, err
		}
	}
	return name, writeSpec(p, s)
}

// stageIn restores the files that the step reads. If the step is committed already, nothing will run and the layer stays empty. It uses a separate store, so
// that its buffers are freed before the command runs.
func (s *spec) stageIn(ctx context.Context, config files.Config, data string, stamps files.Stamps) error {
	store, err := files.Open(config)
	if err != nil {
		return err
	}
	layer, err := s.findStart(ctx, store)
	if err != nil {
		return err
	}
	if done, err := s.Step.isCommitted(ctx, store); done || err != nil {
		return err
	}
	s.Layer = layer
	staged := s.stagedFiles(stamps)
	err = store.Restore(ctx, staged, data)
	s.Trusted = staged.Trusted
	return err
}

// findStart returns the files that the step starts with. With Ahead it merges them, and sets what the step sees.
func (s *spec) findStart(ctx context.Context, store *files.Store) (files.Layer, error) {
	if !s.Step.Ahead {
		return s.Step.Layer, nil
	}
	commits, err := store.Commits(ctx, s.Step.Fingerprints)
	if err != nil {
		return "", err
	}
	start, err := store.MergeNeeds(ctx, s.Step.Needs[s.Step.Name], commits, s.Step.Needs)
	if err != nil {
		return "", err
	}
	if s.Step.Seen = start.Content; s.Step.Seen == "" || len(s.Step.Reads) > 0 {
		s.Step.Seen, err = store.DigestView(ctx, start.Layer, s.Step.Reads)
	}
	return start.Layer, err
}

// stagedFiles describes the files that were staged in.
func (s *spec) stagedFiles(stamps files.Stamps) *files.Staged {
	return &files.Staged{Layer: s.Layer, Reads: s.Step.Reads, Stamps: stamps, Trusted: s.Trusted}
}

// copySelf copies the running agent to a path that the main container can run.
func copySelf(to string) (err error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("copy the agent: %w", err)
	}
	defer self.Close()                                                   // it was only read
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755) //nolint:gosec // another user may run it
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
	// The umask may have removed the permission to run it.
	return f.Chmod(0o755)
}
