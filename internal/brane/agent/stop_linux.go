package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Times of a stop. Kubernetes gives a pod 30 s by default (terminationGracePeriodSeconds, see Step.Stop for another one) and then kills the agent together with
// the command. The agent has to end before that: only its exit code makes the Job controller create another pod.
const (
	stopTimeout   = 25 * time.Second // from the signal until the command is killed, or until storing its files is given up
	cancelTimeout = 10 * time.Second // from the cancellation of the run until the command is killed
	stopFarewell  = 3 * time.Second  // to keep the output of a command that was stopped
)

// stopSignals are the signals that ask a container to stop. Kubernetes sends SIGTERM, or the STOPSIGNAL of the image. What the other forwarded signals mean is
// for the command to decide, for example to read its configuration again.
var stopSignals = []syscall.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGQUIT}

// stopError is a request to stop the step that came from outside of the container.
type stopError struct {
	signal syscall.Signal // zero if the run was cancelled
}

var errCancelled = stopError{}

func (e stopError) Error() string {
	if e == errCancelled {
		return "the run was cancelled"
	}
	return "the container received " + unix.SignalName(e.signal)
}

// beforeStart completes the message of a request to stop before the command had started.
func beforeStart(err error) error {
	if errors.As(err, new(stopError)) {
		return fmt.Errorf("%w before the command had started", err)
	}
	return err
}

// exitCode returns the code with which the container exits because of err: a dedicated one for a request to stop, otherwise for all other errors.
func exitCode(err error, otherwise int) int {
	switch stop := (stopError{}); {
	case !errors.As(err, &stop):
		return otherwise
	case stop == errCancelled:
		return ExitCancelled
	}
	return ExitStopped
}

// stopper passes the signals of the container on and decides, under one lock with the end of the command, whether the step was asked to stop before that.
type stopper struct {
	cancel context.CancelCauseFunc // ends what the agent itself does

	mu       sync.Mutex
	timeout  time.Duration // replaces stopTimeout; zero means that
	command  *process      // nil until it is started
	hasEnded bool          // the command has; a request to stop does not prevent the commit any more
	request  error         // a stopError that came before the command had ended, or nil
}

// setTimeout sets the time from the request to stop until the command is killed.
func (s *stopper) setTimeout(timeout time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timeout = timeout
}

// startCommand starts the command, unless the step was asked to stop before.
func (s *stopper) startCommand(do func() (*process, int, error)) (p *process, code int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.request != nil {
		return nil, exitCode(s.request, ExitStageIn), s.request
	}
	s.command, code, err = do()
	return s.command, code, err
}

// recordEnd records that the command has ended, and returns the request to stop that came before.
func (s *stopper) recordEnd() (request error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hasEnded = true
	return s.request
}

// requestStop handles a request to stop.
func (s *stopper) requestStop(request stopError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hasEnded {
		if request != errCancelled { // the files of a command that has ended are worth storing
			time.AfterFunc(cmp.Or(s.timeout, stopTimeout), func() { s.cancel(request) })
		}
		return
	}
	if !errors.Is(s.request, errCancelled) { // a cancelled run needs no other pod
		s.request = request
	}
	if s.command == nil {
		s.cancel(request)
		return
	}
	number, timeout := request.signal, cmp.Or(s.timeout, stopTimeout)
	if request == errCancelled {
		number, timeout = unix.SIGTERM, cancelTimeout
	}
	s.command.signalGroup(number)
	time.AfterFunc(timeout, s.killCommand)
}

// killCommand ends a command that has ignored the request to stop.
func (s *stopper) killCommand() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hasEnded {
		s.command.signalGroup(unix.SIGKILL)
	}
}

// catchSignals handles the signals of the container until the function that it returns is called. SIGPIPE is caught so that a closed log does not end the agent.
func (s *stopper) catchSignals() (release func()) {
	signals, done := make(chan os.Signal, 16), make(chan struct{})
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH, unix.SIGPIPE)
	go s.forwardSignals(signals, done)
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// forwardSignals handles the signals of the container until done is closed.
func (s *stopper) forwardSignals(signals <-chan os.Signal, done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case caught := <-signals:
			number, isNumber := caught.(syscall.Signal)
			switch {
			case !isNumber || number == unix.SIGPIPE:
			case slices.Contains(stopSignals, number):
				s.requestStop(stopError{number})
			default:
				s.passSignal(number)
			}
		}
	}
}

// passSignal sends a signal that is no request to stop to the command, if that runs.
func (s *stopper) passSignal(number syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.command != nil && !s.hasEnded {
		s.command.signalGroup(number)
	}
}
