package agent

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTheOrderOfAStopAndTheEnd checks that a request counts if it came before the end of the command, and that a cancellation overrides a signal.
func TestTheOrderOfAStopAndTheEnd(t *testing.T) {
	const start, end, sigterm, sigquit, cancel = "start", "end", "SIGTERM", "SIGQUIT", "cancel"
	for name, tt := range map[string]struct {
		events []string
		want   error
	}{
		"no request":                        {[]string{start, end}, nil},
		"before the start":                  {[]string{sigterm, start}, stopError{unix.SIGTERM}},
		"a cancellation before the start":   {[]string{cancel, start}, errCancelled},
		"before the end":                    {[]string{start, sigterm, end}, stopError{unix.SIGTERM}},
		"after the end":                     {[]string{start, end, sigterm}, nil},
		"a cancellation before the end":     {[]string{start, cancel, end}, errCancelled},
		"a cancellation after the end":      {[]string{start, end, cancel}, nil},
		"a signal and then a cancellation":  {[]string{start, sigterm, cancel, end}, errCancelled},
		"a cancellation and then a signal":  {[]string{start, cancel, sigterm, end}, errCancelled},
		"the last of two signals":           {[]string{start, sigterm, sigquit, end}, stopError{unix.SIGQUIT}},
		"one before and one after the end":  {[]string{start, sigquit, end, sigterm}, stopError{unix.SIGQUIT}},
		"a signal, and cancelled too late":  {[]string{start, sigterm, end, cancel}, stopError{unix.SIGTERM}},
		"nothing to start any more, twice":  {[]string{sigterm, cancel, start}, errCancelled},
		"a signal before the end of a stop": {[]string{cancel, sigterm, start}, errCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancelAgent := context.WithCancelCause(t.Context())
			s, started, got := stopper{cancel: cancelAgent}, false, error(nil)
			for _, event := range tt.events {
				switch event {
				case start:
					var code int
					_, code, got = s.startCommand(func() (*process, int, error) {
						started = true
						return &process{pid: 1 << 30}, 0, nil // there is no such process group
					})
					if want := exitCode(tt.want, 0); !started && code != want {
						t.Errorf("the code is %d, not %d", code, want)
					}
				case end:
					got = s.recordEnd()
				case sigterm:
					s.requestStop(stopError{unix.SIGTERM})
				case sigquit:
					s.requestStop(stopError{unix.SIGQUIT})
				case cancel:
					s.requestStop(errCancelled)
				}
			}
			if !errors.Is(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if wantStart := tt.events[0] == start; started != wantStart || (ctx.Err() == nil) != wantStart {
				t.Errorf("started: %v, cancelled: %v", started, ctx.Err())
			}
		})
	}
}
