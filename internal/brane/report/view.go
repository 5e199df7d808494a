package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// view is what the page shows, with all numbers computed and all texts bounded.
type view struct {
	Run
	Mark, Class string
	Tally       string
	Started     time.Time
	Ended       time.Time
	Took        string
	Drawing     *drawing // nil if nothing is drawn
	TooLarge    bool     // the graph is too large to draw
	Ticks       []tick
	Waits       bool  // a step waited until its program started
	Rows        []row // in the order of the graph
	Timeline    []row // in the order of their starts, those that did not start last
	Failures    []row
}

// row is a step in the timeline.
type row struct {
	Step
	Index       int
	Mark, Class string
	Took        string
	Waited      string
	Bar         bar
	NeedRows    []need
	More        string // number of other files: "and 12 more"
	PartRows    []partRow
	MoreParts   string
	LogCut      bool
	Open        bool
}

type need struct {
	Index int
	Name  string
}

func newView(run Run) view {
	v := view{Run: run, Mark: statusMark(run.Status), Class: statusClass(run.Status), Tally: countSteps(run.Steps)}
	scale := newScale(run.Steps)
	v.Started, v.Ended, v.Ticks = scale.from, scale.to, scale.roundTicks()
	if !v.Started.IsZero() {
		v.Took = formatDuration(scale.totalDuration())
	}
	index := map[string]int{}
	for i, step := range run.Steps {
		r := row{Step: step, Index: i, Mark: statusMark(step.Status), Class: statusClass(step.Status), Bar: scale.barOf(step), Open: step.Status == Failed}
		if !step.Started.IsZero() && !step.Ended.Before(step.Started) {
			r.Took = formatDuration(step.Ended.Sub(step.Started))
		}
		if !step.Made.IsZero() && step.Started.After(step.Made) {
			r.Waited = formatDuration(step.Started.Sub(step.Made))
		}
		for _, name := range step.Needs {
			if at, known := index[name]; known {
				r.NeedRows = append(r.NeedRows, need{at, name})
			}
		}
		r.Log, r.LogCut = lastLines(step.Log, MaxLog)
		r.boundFiles()
		r.boundParts(scale)
		v.Waits = v.Waits || r.Bar.Waits
		v.Rows = append(v.Rows, r)
		if step.Failure != "" {
			v.Failures = append(v.Failures, r)
		}
		index[step.Name] = i
	}
	v.Timeline = slices.SortedStableFunc(slices.Values(v.Rows), byBeginning)
	v.Drawing = layOutGraph(v.Rows)
	v.TooLarge = v.Drawing == nil && len(v.Rows) > 1
	return v
}

// tookOrReused returns the duration of a step, or that its result was used again; empty if neither is known.
func (r row) tookOrReused() string {
	if r.Reused {
		return "reused"
	}
	return r.Took
}

func byBeginning(a, b row) int {
	begins := func(r row) time.Time {
		if r.Made.IsZero() {
			return r.Started
		}
		return r.Made
	}
	one, other := begins(a), begins(b)
	if one.IsZero() != other.IsZero() {
		if one.IsZero() {
			return 1
		}
		return -1
	}
	return one.Compare(other)
}

// boundFiles keeps the first files and counts the others.
func (r *row) boundFiles() {
	if r.FileCount == 0 {
		r.FileCount = len(r.Files)
		for _, file := range r.Files {
			r.FileSize += file.Size
		}
	}
	r.Files = r.Files[:min(len(r.Files), MaxFiles)]
	if more := r.FileCount - len(r.Files); more > 0 && len(r.Files) > 0 {
		r.More = fmt.Sprintf("and %d more", more)
	}
}

// statusMark returns a sign for a status, which is readable without colours.
func statusMark(s Status) string {
	switch s {
	case Succeeded:
		return "✓"
	case Failed:
		return "✗"
	case Stopped:
		return "■"
	case Skipped:
		return "–"
	}
	return "·"
}

// statusClass returns the status as a class of the style.
func statusClass(s Status) string {
	switch s {
	case Succeeded, Failed, Stopped, Skipped:
		return string(s)
	}
	return "other"
}

// countSteps counts the steps by status.
func countSteps(steps []Step) string {
	counts, reused := map[Status]int{}, 0
	for _, step := range steps {
		counts[step.Status]++
		if step.Reused {
			reused++
		}
	}
	parts := []string{fmt.Sprintf("%d of %s succeeded", counts[Succeeded], formatCount(len(steps), "step"))}
	if len(steps) > 0 && counts[Succeeded] == len(steps) {
		parts = []string{formatCount(len(steps), "step")}
	}
	for _, status := range []Status{Failed, Stopped, Skipped} {
		if counts[status] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[status], status))
		}
	}
	if reused > 0 {
		parts = append(parts, fmt.Sprintf("%d with the result of an earlier execution", reused))
	}
	return strings.Join(parts, ", ")
}
