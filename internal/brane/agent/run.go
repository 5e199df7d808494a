//go:build linux

package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// Times of the agent's own.
const (
	farewell   = 10 * time.Second // to note the start of a program, and to keep the output of one that failed
	logRefresh = 2 * time.Second  // how old the kept output of a running step may be; a container that runs out of memory has no last word
)

// runner is the container in which the program of one step runs.
type runner struct {
	stopper
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

func (r *runner) run(command []string, stdout io.Writer) int {
	if err := hide(); err != nil { // first of all: the environment may hold the credential
		return r.fail(ExitStageIn, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	r.cancel = cancel
	defer r.catch()()
	if err := r.take(); err != nil {
		return r.fail(ExitStageIn, err)
	}
	done, err := r.prepare(ctx)
	switch {
	case ctx.Err() != nil:
		return r.failBefore(context.Cause(ctx))
	case err != nil:
		return r.failBefore(err)
	case done:
		r.say("is already committed; nothing is run")
		return 0
	}
	started := time.Now()
	r.noteStart(ctx, started)
	code, result, err := r.call(ctx, command, stdout)
	code = r.report(code, err)
	if code != 0 {
		r.keepLast(code)
		return code
	}
	record := files.Record{
		Attempt: r.spec.Step.Attempt, Started: started.UTC(), Ended: time.Now().UTC(),
		Node: r.spec.Node, Pod: r.spec.Pod, Result: result,
	}
	stored := make(chan error, 1)
	go func() { stored <- files.Again(func() error { return r.stageOut(ctx, record) }) }()
	select {
	case err := <-stored:
		if err != nil {
			return r.fail(ExitStageOut, err)
		}
	case <-ctx.Done(): // a request that Redis does not answer does not see it for another 20 s
		return r.fail(ExitStageOut, fmt.Errorf("%w; storing the files takes longer than %s after that", context.Cause(ctx), stopTimeout))
	}
	return 0
}

// report writes what the agent has to say about the end of the command, and returns the exit code of the container. An exit code of the command that the Job
// controller would take for a stop is replaced: otherwise a command that always exits with it would get another pod for ever.
func (r *runner) report(code int, err error) int {
	isStop := errors.As(err, new(stopError))
	switch {
	case !isStop && (code == ExitStopped || code == ExitCancelled):
		r.say("%v", cmp.Or(err, fmt.Errorf("the command exited with code %d", code)))
		r.say("exit code %d is reserved for steps that were stopped: the container exits with code %d instead", code, exitReserved)
		return exitReserved
	case err != nil && code >= ExitStageIn && code <= ExitCancelled:
		r.sayLast(err.Error())
	case err != nil:
		r.say("%v", err)
	}
	return code
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
func (r *runner) execute(ctx context.Context, command, env []string, stdout io.Writer) (code int, err error) {
	p, code, err := r.start(func() (*program, int, error) {
		return start(command, env, io.MultiWriter(stdout, &r.output), io.MultiWriter(r.stderr, &r.output))
	})
	if err != nil {
		return code, beforeStart(err)
	}
	ctx, stop := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { r.keepOutput(ctx) })
	watchers.Go(func() { r.obeyCancel(ctx) })
	status := <-p.ended
	request := r.end()
	code, err = p.finish(status)
	stop()
	watchers.Wait()
	if request != nil {
		return exitCode(request, code), fmt.Errorf("%w before the command had ended; it exited with code %d, and its files are not stored", request, code)
	}
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

// obeyCancel stops the command when the run is cancelled.
func (r *runner) obeyCancel(ctx context.Context) {
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
		r.say("the run was cancelled: the command is stopped")
		r.stop(errCancelled)
		return
	}
}

// stageOut stores and commits. A signal leaves it stopTimeout; even SIGKILL leaves nothing half-published.
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

// keepLast keeps the last output of a command that has failed or was stopped; nothing else is published.
func (r *runner) keepLast(code int) {
	isStopped := code == ExitStopped || code == ExitCancelled
	timeout := farewell
	if isStopped {
		timeout = stopFarewell
	}
	ctx, done := context.WithTimeout(context.Background(), timeout)
	defer done()
	last, _ := r.output.last()
	if err := r.store.SetLog(ctx, r.spec.Step.Name, last); err != nil {
		r.say("%v", err)
		return
	}
	if !isStopped {
		// An announcement is a hint; the pod's end is the truth.
		_ = r.store.Announce(ctx, files.Event{Step: r.spec.Step.Name, State: files.Failed})
	}
}

// failBefore reports why the command did not start, and returns the exit code of the container.
func (r *runner) failBefore(err error) int { return r.fail(ExitStageIn, beforeStart(err)) }

// fail reports an error of the agent itself, for those who read the output of the container or the one that is kept. It returns the exit code of the container.
func (r *runner) fail(code int, err error) int {
	code = exitCode(err, code)
	r.sayLast(Explain(err))
	if r.store != nil {
		r.keepLast(code)
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
