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

// status tells a person what is going on: one line a step with its time. On a terminal the running step turns;
// elsewhere there are plain lines only, and a long step says now and then that it goes on.
type status struct {
	out      io.Writer
	terminal bool
	colour   bool

	mu    sync.Mutex
	title string
	begun time.Time
	noted string
	told  time.Time // when a plain line last said how it goes on
}

// goesOn is how often a long step says so where there is no terminal: well within what CI takes for a hang.
const goesOn = 30 * time.Second

func newStatus(out *os.File) *status {
	terminal := term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == ""
	_, plain := os.LookupEnv("NO_COLOR")
	return &status{out: out, terminal: terminal, colour: terminal && !plain}
}

// run shows the step while f runs, and how it ended.
func (s *status) run(title string, f func() error) error {
	s.mu.Lock()
	s.title, s.begun, s.noted, s.told = title, time.Now(), "", time.Time{}
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

// note says how the running step goes on.
func (s *status) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noted = text
	if s.terminal || time.Since(s.told) < goesOn {
		return
	}
	s.told = time.Now()
	fmt.Fprintf(s.out, " … %s: %s\n", s.title, text)
}

// say prints a line between two steps.
func (s *status) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// turn draws the running step on a terminal until stop.
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
