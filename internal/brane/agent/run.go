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

// Limits and intervals of the agent.
const (
	noteTimeout = 10 * time.Second // to record the start of a command, and to keep the output of one that has failed
	// The interval between two copies of the output of a running command doubles, so that thousands of pods do not rewrite their output all
	// the time. A container that is killed for its memory cannot store the rest.
	minLogRefresh = 2 * time.Second
	maxLogRefresh = 30 * time.Second
)

// logRefresh returns the interval until the next copy of the output of a command that runs for so long.
func logRefresh(running time.Duration) time.Duration {
	return min(max(minLogRefresh, running), maxLogRefresh)
}

// runner is the main container of a step.
type runner struct {
	stopper
	paths  Paths
	alone  bool // there is no init container
	spec   spec
	stamps files.Stamps // of the staged files; nil if nothing was staged in
	config files.Config // of the store
	store  *files.Store
	output tail
	stderr io.Writer
	// sending is held during a request to Redis while the command runs: so they use one connection, beside that of the subscription.
	sending sync.Mutex
}

// Run is the main container of a pod with an init container: it runs the command and commits its files. It returns the exit code.
func Run(p Paths, command []string, stdout, stderr io.Writer) int {
	return (&runner{paths: p.withDefaults(), stderr: stderr}).runStep(command, stdout)
}

// RunAlone is the main container of a pod without an init container: it stages in, runs the command and commits its files. It returns the exit code.
func RunAlone(p Paths, command []string, stdout, stderr io.Writer) int {
	return (&runner{paths: p.withDefaults(), alone: true, stderr: stderr}).runStep(command, stdout)
}

func (r *runner) runStep(command []string, stdout io.Writer) int {
	if err := disablePtrace(); err != nil { // first, because the environment may hold the credential
		return r.reportFailure(ExitStageIn, err)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	r.cancel = cancel
	defer r.catchSignals()()
	if err := r.loadSpec(); err != nil {
		return r.reportFailure(ExitStageIn, err)
	}
	r.setTimeout(time.Duration(r.spec.Step.Stop) * time.Second)
	done, err := r.prepareFiles(ctx)
	switch {
	case ctx.Err() != nil:
		return r.failBefore(context.Cause(ctx))
	case err != nil:
		return r.failBefore(err)
	case done:
		r.writeMessage("is already committed; nothing is run")
		return 0
	}
	started := time.Now()
	r.noteStart(ctx, started)
	code, result, err := r.runCommand(ctx, command, stdout)
	code = r.reportExitCode(code, err)
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
			return r.reportFailure(ExitStageOut, err)
		}
	case <-ctx.Done(): // a request that Redis does not answer does not see it for another 20 s
		return r.reportFailure(ExitStageOut, fmt.Errorf("%w; storing the files takes longer than %s after that", context.Cause(ctx), cmp.Or(r.timeout, stopTimeout)))
	}
	return 0
}

// reportExitCode writes a message about the end of the command, and returns the exit code of the container. It replaces an exit code of the command that the Job
// controller would take for a stop, because a command that always exits with it would get new pods for ever.
func (r *runner) reportExitCode(code int, err error) int {
	isStop := errors.As(err, new(stopError))
	switch {
	case !isStop && (code == ExitStopped || code == ExitCancelled):
		r.writeMessage("%v", cmp.Or(err, fmt.Errorf("the command exited with code %d", code)))
		r.writeMessage("exit code %d is reserved for steps that were stopped: the container exits with code %d instead", code, exitReserved)
		return exitReserved
	case err != nil && code >= ExitStageIn && code <= ExitCancelled:
		r.sayLast(err.Error())
	case err != nil:
		r.writeMessage("%v", err)
	}
	return code
}

// noteStart counts the start of the command. An error is only logged, because the count is not worth failing the step.
func (r *runner) noteStart(ctx context.Context, at time.Time) {
	ctx, stop := context.WithTimeout(ctx, noteTimeout)
	defer stop()
	key, _ := r.spec.Step.resultKey() // it is known when the command starts
	if err := r.store.NoteStart(ctx, key, r.spec.Pod, at); err != nil {
		r.writeMessage("%v", err)
	}
}

// loadSpec reads the specification of the step.
func (r *runner) loadSpec() (err error) {
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

// prepareFiles connects to Redis and makes sure that the files are staged in. done reports whether another attempt has committed the step already.
func (r *runner) prepareFiles(ctx context.Context) (done bool, err error) {
	config, err := connectRun(ctx, r.spec.Access, r.spec.Step, !r.alone, func(text string) { r.writeMessage("%s", text) })
	if err != nil {
		return false, err
	}
	r.config = config
	if r.store, err = files.Open(config); err != nil {
		return false, err
	}
	if err := r.spec.Step.ReadItem(ctx, r.store); err != nil {
		return false, err
	}
	if done, err := r.spec.Step.isCommitted(ctx, r.store); done || err != nil {
		return done, err
	}
	cancelled, err := r.spec.Step.isCancelled(ctx, r.store)
	if err != nil {
		return false, err
	}
	if cancelled {
		return false, errCancelled
	}
	if r.alone || r.spec.Step.Ahead || r.spec.Step.InMain {
		return r.stageWhenReady(ctx, config)
	}
	if r.spec.Layer == "" {
		// The commit that Stage saw is gone, by the deadline or a deletion of the run.
		return false, fmt.Errorf("the commit of the step %w", files.ErrGone)
	}
	return false, nil
}

// stageWhenReady stages in instead of the init container, as soon as all needed steps are committed.
func (r *runner) stageWhenReady(ctx context.Context, config files.Config) (done bool, err error) {
	if r.spec.Step.Ahead {
		if err := awaitNeeds(ctx, r.store, r.spec.Step); err != nil {
			return false, err
		}
	}
	// The file is on the volume of the step's files, not in memory, and removed before any of them exists.
	name := filepath.Join(r.paths.Data, filepath.Base(r.paths.stampsFile()))
	stamps, err := openStamps(name)
	if err != nil {
		return false, err
	}
	if err := os.Remove(name); err != nil {
		return false, fmt.Errorf("record the state of the staged files: %w", err)
	}
	r.stamps = stamps
	// A separate client, so that a pod keeps no more than two connections while its command runs.
	if config.Redis, err = r.spec.Access.connectRedis(); err != nil {
		return false, err
	}
	err = r.spec.stageIn(ctx, config, r.paths.Data, stamps)
	_ = config.Redis.Close() // nothing was written
	debug.FreeOSMemory()     // the memory belongs to the command
	return r.spec.Layer == "", err
}

// executeCommand runs the command. Meanwhile it keeps the output regularly, and stops the command if the run is cancelled.
func (r *runner) executeCommand(ctx context.Context, command, env []string, stdout io.Writer) (code int, err error) {
	p, code, err := r.startCommand(func() (*process, int, error) {
		return startProcess(command, env, io.MultiWriter(containerLog{stdout}, &r.output), io.MultiWriter(containerLog{r.stderr}, &r.output))
	})
	if err != nil {
		return code, beforeStart(err)
	}
	ctx, stop := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { r.keepOutput(ctx) })
	watchers.Go(func() { r.obeyCancel(ctx) })
	status := <-p.ended
	request := r.recordEnd()
	code, err = p.waitForOutput(ctx, status, request == nil && status.Exited() && status.ExitStatus() == 0)
	stop()
	watchers.Wait()
	if request != nil {
		return exitCode(request, code), fmt.Errorf("%w before the command had ended; it exited with code %d, and its files are not stored", request, code)
	}
	return code, err
}

// keepOutput stores the end of the output while the command runs, if it has changed. It ignores errors, which are no reason to stop the command.
func (r *runner) keepOutput(ctx context.Context) {
	started, timer := time.Now(), time.NewTimer(minLogRefresh)
	defer timer.Stop()
	var kept int64
	key, _ := r.spec.Step.resultKey() // it is known when the command has started
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(logRefresh(time.Since(started)))
		}
		if last, written := r.output.lastBytes(); written != kept {
			r.sending.Lock()
			err := r.store.SetLog(ctx, key, last)
			r.sending.Unlock()
			if err == nil {
				kept = written
			}
		}
	}
}

// obeyCancel stops the command when the run is cancelled.
func (r *runner) obeyCancel(ctx context.Context) {
	for range r.store.Events(ctx, files.Cancellation) {
		// An announcement does not decide: it may be about agents of an earlier term.
		r.sending.Lock()
		cancelled, err := r.spec.Step.isCancelled(ctx, r.store)
		r.sending.Unlock()
		if err != nil || !cancelled {
			continue
		}
		r.writeMessage("the run was cancelled: the command is stopped")
		r.requestStop(errCancelled)
		return
	}
}

// stageOut stores and commits. A signal leaves it stopTimeout; even SIGKILL leaves nothing half-published.
func (r *runner) stageOut(ctx context.Context, record files.Record) error {
	store, err := r.openLatest(ctx)
	if err != nil {
		return err
	}
	key, _ := r.spec.Step.resultKey() // it is known when the command has ended
	stored, err := store.Snapshot(ctx, r.paths.Data, r.spec.stagedFiles(r.stamps), r.spec.Step.Writes, key.Step)
	if err != nil {
		return err
	}
	record.Base, record.Layer, record.Content = r.spec.Layer, stored.Layer, stored.Content
	last, _ := r.output.lastBytes()
	if err := store.SetLog(ctx, key, last); err != nil {
		return err
	}
	_, won, err := store.Commit(ctx, key, record)
	if err != nil {
		return err
	}
	if !won {
		r.writeMessage("another attempt was committed first; its files are used")
	}
	return nil
}

// openLatest returns the store in which the files of the step expire with the latest execution that continues it.
func (r *runner) openLatest(ctx context.Context) (*files.Store, error) {
	deadline, err := latestDeadline(ctx, r.store, r.config.Deadline, time.Now())
	if err != nil || deadline.Equal(r.config.Deadline) {
		return r.store, err
	}
	config := r.config
	config.Deadline = deadline
	return files.Open(config)
}

// keepLast keeps the last output of a command that has failed or was stopped; nothing else is published.
func (r *runner) keepLast(code int) {
	isStopped := code == ExitStopped || code == ExitCancelled
	timeout := noteTimeout
	if isStopped {
		timeout = stopFarewell
	}
	ctx, done := context.WithTimeout(context.Background(), timeout)
	defer done()
	if key, isKnown := r.spec.Step.resultKey(); isKnown {
		last, _ := r.output.lastBytes()
		if err := r.store.SetLog(ctx, key, last); err != nil {
			r.writeMessage("%v", err)
			return
		}
	}
	if !isStopped {
		// The announcement is only a hint: the status of the pod decides.
		_ = r.store.Announce(ctx, files.Event{Step: r.spec.Step.Name, State: files.Failed})
	}
}

// failBefore reports why the command did not start, and returns the exit code of the container.
func (r *runner) failBefore(err error) int { return r.reportFailure(ExitStageIn, beforeStart(err)) }

// reportFailure writes an error of the agent itself to the output of the container and to the kept output. It returns the exit code of the container.
func (r *runner) reportFailure(code int, err error) int {
	code = exitCode(err, code)
	r.sayLast(Explain(err))
	if r.store != nil {
		r.keepLast(code)
	}
	return code
}

// writeMessage writes a message of the agent to the output of the container and to the kept output.
func (r *runner) writeMessage(format string, args ...any) {
	text := Message(r.spec.Step.Name, fmt.Sprintf(format, args...))
	// There is no other place to report an error to.
	_, _ = io.WriteString(&r.output, text)
	_, _ = io.WriteString(r.stderr, text)
}

// sayLast writes a message and also makes it the termination message of the container. That distinguishes an exit code of the agent from the same exit code of
// a command.
func (r *runner) sayLast(text string) {
	r.writeMessage("%s", text)
	if f, err := os.OpenFile(r.paths.LastWords, os.O_WRONLY|os.O_TRUNC, 0); err == nil { // the file exists in a pod only
		_, _ = io.WriteString(f, Message(r.spec.Step.Name, text))
		_ = f.Close()
	}
}
