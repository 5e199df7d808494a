package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// status prints one line per step with its duration. On a terminal the running step has a spinner; otherwise a long
// step prints its progress from time to time.
type status struct {
	out      io.Writer
	terminal bool
	colour   bool

	mu    sync.Mutex
	title string
	begun time.Time
	noted string
	shown time.Time // when a plain line last showed the progress
}

// progressInterval is the interval of progress lines without a terminal, short enough for the timeouts of CI.
const progressInterval = 30 * time.Second

func newStatus(out *os.File) *status {
	terminal := term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == ""
	_, plain := os.LookupEnv("NO_COLOR")
	return &status{out: out, terminal: terminal, colour: terminal && !plain}
}

// run shows the step while f runs, and its result.
func (s *status) run(title string, f func() error) error {
	s.mu.Lock()
	s.title, s.begun, s.noted, s.shown = title, time.Now(), "", time.Time{}
	s.mu.Unlock()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go s.turn(stop, stopped)
	err := f()
	close(stop)
	<-stopped
	mark, colour := "✓", "\033[32m"
	if err != nil {
		mark, colour = "✗", "\033[31m"
	}
	if s.colour {
		mark = colour + mark + "\033[0m"
	}
	if s.terminal {
		fmt.Fprint(s.out, "\r\033[K")
	}
	fmt.Fprintf(s.out, " %s %s %6.1fs\n", mark, padded(title), time.Since(s.begun).Seconds())
	return err
}

// note sets the progress of the running step.
func (s *status) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noted = text
	if s.terminal || time.Since(s.shown) < progressInterval {
		return
	}
	s.shown = time.Now()
	fmt.Fprintf(s.out, " … %s: %s\n", s.title, text)
}

// say prints a line between steps.
func (s *status) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// turn draws the running step on a terminal until stop is closed.
func (s *status) turn(stop <-chan struct{}, stopped chan<- struct{}) {
	defer close(stopped)
	if !s.terminal {
		<-stop
		return
	}
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
			s.mu.Lock()
			fmt.Fprintf(s.out, "\r\033[K %c %s %6.0fs  %s", frames[i%len(frames)], padded(s.title), time.Since(s.begun).Seconds(), s.noted)
			s.mu.Unlock()
		}
	}
}

func padded(title string) string {
	const width = 36
	return fmt.Sprintf("%s%*s", title, max(0, width-utf8.RuneCountInString(title)), "")
}
