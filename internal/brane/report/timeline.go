package report

import "time"

// scale maps points in time to percentages of the timeline's width.
type scale struct{ from, to time.Time }

// bar is a step in the timeline, in percent: it waits from the creation of its Job until its program starts.
type bar struct {
	Waits, Runs     bool
	WaitAt, WaitFor float64
	RunAt, RunFor   float64
}

// tick is a line of the scale.
type tick struct {
	At     float64
	Label  string
	Anchor string // of the label, so that it stays inside
}

func newScale(steps []Step) scale {
	var s scale
	for _, step := range steps {
		if step.Reused {
			continue
		}
		for _, moment := range []time.Time{step.Made, step.Started, step.Ended} {
			if moment.IsZero() {
				continue
			}
			if s.from.IsZero() || moment.Before(s.from) {
				s.from = moment
			}
			if moment.After(s.to) {
				s.to = moment
			}
		}
	}
	return s
}

func (s scale) totalDuration() time.Duration { return max(s.to.Sub(s.from), 0) }

func (s scale) positionOf(moment time.Time) float64 {
	if s.totalDuration() == 0 {
		return 0
	}
	return 100 * float64(moment.Sub(s.from)) / float64(s.totalDuration())
}

func (s scale) barOf(step Step) bar {
	var b bar
	if step.Reused || !step.Started.IsZero() && step.Started.Before(s.from) { // also an index of a step of which others have run
		return b
	}
	if !step.Started.IsZero() {
		end := step.Ended
		if end.Before(step.Started) { // it was stopped, or its end is not known
			end = s.to
		}
		b.Runs, b.RunAt = true, s.positionOf(step.Started)
		b.RunFor = s.positionOf(end) - b.RunAt
	}
	if !step.Made.IsZero() {
		until := step.Started
		if until.IsZero() {
			until = step.Ended // its program never started
		}
		if until.IsZero() {
			until = s.to
		}
		if until.After(step.Made) {
			b.Waits, b.WaitAt = true, s.positionOf(step.Made)
			b.WaitFor = s.positionOf(until) - b.WaitAt
		}
	}
	return b
}

// maxTicks keeps the labels apart on the screen of a phone.
const maxTicks = 5

// roundTicks returns lines at round times.
func (s scale) roundTicks() []tick {
	whole := s.totalDuration()
	if whole <= 0 {
		return nil
	}
	every := roundTime(whole / maxTicks)
	var ticks []tick
	for i := range maxTicks + 1 {
		at := time.Duration(i) * every
		if at > whole || at < 0 { // the multiplication overflowed
			break
		}
		t := tick{At: 100 * float64(at) / float64(whole), Label: tickLabel(at, every), Anchor: "middle"}
		switch {
		case t.At < 4:
			t.Anchor = "start"
		case t.At > 94:
			t.Anchor = "end"
		}
		ticks = append(ticks, t)
	}
	return ticks
}

// tickLabel is as short as the distance between two labels allows.
func tickLabel(at, every time.Duration) string {
	switch {
	case at == 0:
		return "0"
	case every < time.Second || at < time.Minute && every%time.Second != 0:
		return formatDuration(at)
	case at < time.Minute:
		return formatNumber(at.Seconds()) + " s"
	case at%time.Minute == 0 && at < time.Hour:
		return formatNumber(at.Minutes()) + " m"
	case at%time.Hour == 0 && at < 24*time.Hour:
		return formatNumber(at.Hours()) + " h"
	}
	return formatDuration(at)
}

// roundTimes are the distances between two labels.
var roundTimes = []time.Duration{
	1 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	1 * time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	1 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	1 * time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
}

// roundTime returns the next larger round time; beyond half a day, whole days.
func roundTime(least time.Duration) time.Duration {
	for _, round := range roundTimes {
		if round >= least {
			return round
		}
	}
	const day = 24 * time.Hour
	if rest := least % day; rest > 0 {
		least += day - rest
	}
	return least
}
