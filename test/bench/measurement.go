package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// measurement is a figure that was measured in several rounds.
type measurement struct {
	Name   string
	Unit   string
	Rounds []float64
	Limit  *limit `json:",omitempty"`
	Peers  []peer `json:",omitempty"` // other programs, measured in the same rounds
}

// peer is what another program needed for the same.
type peer struct {
	Name   string
	Rounds []float64
}

// limit is a limit for the median.
type limit struct {
	Value   float64
	AtLeast bool   // a lower limit; otherwise an upper one
	Reason  string `json:",omitempty"` // why it is not the one that a reader would expect
}

// option adds to a measurement.
type option func(*measurement)

// withUpperLimit sets an upper limit.
func withUpperLimit(value float64) option {
	return func(m *measurement) { m.Limit = &limit{Value: value} }
}

// withLowerLimit sets a lower limit.
func withLowerLimit(value float64) option {
	return func(m *measurement) { m.Limit = &limit{Value: value, AtLeast: true} }
}

// withReason adds the reason to the limit.
func withReason(reason string) option {
	return func(m *measurement) { m.Limit.Reason = reason }
}

// withPeer adds what a peer needed; nothing if it was not measured.
func withPeer(name string, rounds []float64) option {
	return func(m *measurement) {
		if len(rounds) > 0 {
			m.Peers = append(m.Peers, peer{name, rounds})
		}
	}
}

// isMet reports whether the median keeps the limit.
func (m measurement) isMet() bool {
	switch {
	case m.Limit == nil:
		return true
	case m.Limit.AtLeast:
		return median(m.Rounds) >= m.Limit.Value
	}
	return median(m.Rounds) <= m.Limit.Value
}

// verdict returns the cells of a table about the limit.
func (m measurement) verdict() (limit, met string) {
	if m.Limit == nil {
		return "", ""
	}
	if limit = "≤ "; m.Limit.AtLeast {
		limit = "≥ "
	}
	if met = "yes"; !m.isMet() {
		met = "no"
	}
	return limit + strconv.FormatFloat(m.Limit.Value, 'g', 4, 64), met
}

// findPeer returns what a peer needed.
func (m measurement) findPeer(name string) []float64 {
	for _, p := range m.Peers {
		if p.Name == name {
			return p.Rounds
		}
	}
	return nil
}

// median returns the median of values: of an even number, the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// formatMedian returns the median with three digits.
func formatMedian(rounds []float64) string {
	if len(rounds) == 0 {
		return ""
	}
	return formatFigure(median(rounds))
}

// formatRange returns the smallest and the largest value, or nothing if there is only one.
func formatRange(rounds []float64) string {
	if len(rounds) < 2 {
		return ""
	}
	return formatFigure(slices.Min(rounds)) + "–" + formatFigure(slices.Max(rounds))
}

// formatFigure returns a figure with at least three digits.
func formatFigure(figure float64) string {
	switch {
	case figure == math.Trunc(figure) || math.Abs(figure) >= 100:
		return fmt.Sprintf("%.0f", figure)
	case math.Abs(figure) >= 10:
		return fmt.Sprintf("%.1f", figure)
	}
	return fmt.Sprintf("%.2f", figure)
}

// samples are the values of all rounds, by what was measured.
type samples map[string][]float64

// add adds the value of a round.
func (s samples) add(name string, value float64) { s[name] = append(s[name], value) }

// addTask runs a task and adds the seconds that it takes.
func (s samples) addTask(name string, do func() error) error {
	began := time.Now()
	err := do()
	s.add(name, time.Since(began).Seconds())
	return err
}

// divideRounds returns the ratios of two values of the same round, because a disturbance slows both.
func (s samples) divideRounds(of, by string) []float64 {
	ratios := make([]float64, len(s[of]))
	for i := range ratios {
		ratios[i] = s[of][i] / s[by][i]
	}
	return ratios
}

// scaleRounds returns the values in another unit.
func (s samples) scaleRounds(name string, factor float64) []float64 {
	scaled := slices.Clone(s[name])
	for i := range scaled {
		scaled[i] *= factor
	}
	return scaled
}
