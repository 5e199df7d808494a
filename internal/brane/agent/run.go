//go:build linux

package agent

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Times of the agent's own. Kubernetes gives a stopped pod 30 s by default.
const (
	farewell   = 10 * time.Second // to note the start of a program, and to keep the output of one that failed
	stopGrace  = 10 * time.Second // between SIGTERM and SIGKILL when the run is cancelled
	logRefresh = 2 * time.Second  // how old the kept output of a running step may be; a container that runs out of memory has no last word
)

// runner is the container in which the program of one step runs.
type runner struct {
	paths  Paths
	alone  bool // there is no init container
	spec   spec
	stamps files.Stamps // of what was staged in; nil: nothing was
	store  *files.Store
	output tail
	stderr io.Writer
}

// Run is the main container beside an init container: it runs the program and commits what it left. It returns the exit code.
func Run(p Paths, program []string, stdout, stderr io.Writer) int {
	return (&runner{paths: p.withDefaults(), stderr: stderr}).run(program, stdout)
}

// RunAlone is the only container: it stages in, runs the program and commits what it left. It returns the exit code.
func RunAlone(p Paths, program []string, stdout, stderr io.Writer) int {
	return (&runner{paths: p.withDefaults(), alone: true, stderr: stderr}).run(program, stdout)
}

func (r *runner) run(program []string, stdout io.Writer) int {
	if err := hide(); err != nil { // first of all: the environment may hold the credential
		return r.fail(ExitStageIn, err)
	}
	signals, stopSignals := catchSignals()
	defer stopSignals()
	if err := r.take(); err != nil {
		return r.fail(ExitStageIn, err)
	}
	ctx := context.Background()
	var done bool
	err := unlessEnded(ctx, signals, func(ctx context.Context) (err error) {
		done, err = r.prepare(ctx)
		return err
	})
	if err != nil {
		return r.fail(ExitStageIn, err)
	}
	if done {
		r.say("is already committed; nothing is run")
		return 0
	}
	started := time.Now()
	r.noteStart(ctx, started)
	code, result, err := r.call(ctx, program, stdout, signals)
	switch {
	case err != nil && code >= ExitStageIn && code <= ExitNoResult:
		r.sayLast(err.Error())
	case err != nil:
		r.say("%v", err)
	}
	if code != 0 {
		r.reportFailure(ctx)
		return code
	}
	record := files.Record{
		Attempt: r.spec.Step.Attempt, Started: started.UTC(), Ended: time.Now().UTC(),
		Node: r.spec.Node, Pod: r.spec.Pod, Result: result,
	}
	if err := files.Again(func() error { return r.stageOut(ctx, record) }); err != nil {
		return r.fail(ExitStageOut, err)
	}
	return 0
}

// noteStart lets the program be counted. A count is worth neither a failure nor much time.
func (r *runner) noteStart(ctx context.Context, at time.Time) {
	ctx, stop := context.WithTimeout(ctx, farewell)
	defer stop()
	if err := r.store.NoteStart(ctx, r.spec.Step.Name, r.spec.Pod, at); err != nil {
		r.say("%v", err)
	}
}

// take learns what is to be done.
func (r *runner) take() (err error) {
	if r.alone {
		r.spec, err = specFrom(os.Getenv)
		r.spec.Access = accessFrom(os.Getenv)
		return err
	}
	if r.spec, err = takeSpec(r.paths); err != nil {
		return err
	}
	r.stamps, err = takeStamps(r.paths)
	return err
}

// prepare connects and sees to it that all is staged in. done says that another attempt was first.
func (r *runner) prepare(ctx context.Context) (done bool, err error) {
	config, err := connect(ctx, r.spec.Access, r.spec.Step)
	if err != nil {
		return false, err
	}
	if r.store, err = files.Open(config); err != nil {
		return false, err
	}
	commits, err := r.store.Commits(ctx, []string{r.spec.Step.Name})
	if err != nil {
		return false, err
	}
	if _, done := commits[r.spec.Step.Name]; done {
		return true, nil
	}
	cancelled, err := r.store.Cancelled(ctx)
	if err != nil {
		return false, err
	}
	if cancelled {
		return false, errCancelled
	}
	if r.alone || r.spec.Step.Ahead {
		return r.begin(ctx, config)
	}
	if r.spec.Layer == "" {
		// The commit that stage in saw is gone: only the run's deadline or a deletion does that.
		return false, fmt.Errorf("the commit of the step %w", files.ErrGone)
	}
	return false, nil
}

// begin is what the init container does otherwise, once all is there that the step needs.
func (r *runner) begin(ctx context.Context, config files.Config) (done bool, err error) {
	if r.spec.Step.Ahead {
		if err := awaitNeeds(ctx, r.store, r.spec.Step); err != nil {
			return false, err
		}
	}
	// Among the step's files, not in memory; and gone from there before any of them is.
	name := filepath.Join(r.paths.Data, filepath.Base(r.paths.stamps()))
	stamps, err := openStamps(name)
	if err != nil {
		return false, err
	}
	if err := os.Remove(name); err != nil {
		return false, fmt.Errorf("keep what the file system says of the files: %w", err)
	}
	r.stamps = stamps
	err = r.spec.stageIn(ctx, config, r.paths.Data, stamps)
	debug.FreeOSMemory() // it is the program's by right
	return r.spec.Layer == "", err
}

// execute runs the program, while the output is kept now and then and the run may be cancelled.
func (r *runner) execute(ctx context.Context, command, env []string, stdout io.Writer, signals <-chan os.Signal) (code int, err error) {
	p, code, err := start(command, env, io.MultiWriter(stdout, &r.output), io.MultiWriter(r.stderr, &r.output))
	if err != nil {
		return code, err
	}
	ctx, stop := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { r.keepOutput(ctx) })
	watchers.Go(func() { r.obeyCancel(ctx, p) })
	watchers.Go(func() { forward(ctx, signals, p) })
	code, err = p.wait()
	stop()
	watchers.Wait()
	return code, err
}

// keepOutput stores the end of the output while the program runs. A failure is no reason to stop it.
func (r *runner) keepOutput(ctx context.Context) {
	tick := time.NewTicker(logRefresh)
	defer tick.Stop()
	var kept int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if last, written := r.output.last(); written != kept {
			if err := r.store.SetLog(ctx, r.spec.Step.Name, last); err == nil {
				kept = written
			}
		}
	}
}

// obeyCancel stops the program when the run is cancelled.
func (r *runner) obeyCancel(ctx context.Context, p *program) {
	for event := range r.store.Events(ctx) {
		switch event.State {
		case files.Cancelled:
		case files.Resync:
			if cancelled, err := r.store.Cancelled(ctx); err != nil || !cancelled {
				continue
			}
		default:
			continue
		}
		r.say("the run is cancelled")
		p.stop(ctx, stopGrace)
		return
	}
}

// stageOut stores and commits. Signals do not interrupt it: Kubernetes' own SIGKILL leaves nothing half-published.
func (r *runner) stageOut(ctx context.Context, record files.Record) error {
	name := r.spec.Step.Name
	var err error
	if record.Layer, err = r.store.Snapshot(ctx, r.paths.Data, r.spec.staged(r.stamps), r.spec.Step.Writes, name); err != nil {
		return err
	}
	last, _ := r.output.last()
	if err := r.store.SetLog(ctx, name, last); err != nil {
		return err
	}
	_, won, err := r.store.Commit(ctx, name, record)
	if err != nil {
		return err
	}
	if !won {
		r.say("another attempt was committed first; its files stand")
	}
	return nil
}

// reportFailure keeps the last output of a program that failed; nothing else is published.
func (r *runner) reportFailure(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, farewell)
	defer stop()
	last, _ := r.output.last()
	if err := r.store.SetLog(ctx, r.spec.Step.Name, last); err != nil {
		r.say("%v", err)
		return
	}
	// An announcement is a hint; the pod's end is the truth.
	_ = r.store.Announce(ctx, files.Event{Step: r.spec.Step.Name, State: files.Failed})
}

// fail says why the agent itself gives up, to whoever reads the container's or the kept output.
func (r *runner) fail(code int, err error) int {
	r.sayLast(Explain(err))
	if r.store != nil {
		r.reportFailure(context.Background())
	}
	return code
}

func (r *runner) say(format string, args ...any) {
	text := Message(r.spec.Step.Name, fmt.Sprintf(format, args...))
	// Both are the end of the line: there is nobody left to tell.
	_, _ = io.WriteString(&r.output, text)
	_, _ = io.WriteString(r.stderr, text)
}

// sayLast also leaves the text where Kubernetes looks for a container's last words: a program can end with any of the agent's own exit codes, and this
// tells the two apart.
func (r *runner) sayLast(text string) {
	r.say("%s", text)
	if f, err := os.OpenFile(r.paths.LastWords, os.O_WRONLY|os.O_TRUNC, 0); err == nil { // there is none outside of a pod
		_, _ = io.WriteString(f, Message(r.spec.Step.Name, text))
		_ = f.Close()
	}
}
