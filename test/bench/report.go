package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"
)

// report is what one part has measured.
type report struct {
	Part         string
	Machine      machine
	Began        time.Time
	Seconds      int // that it took
	Measurements []measurement
	Curves       []curve

	rounds int // of each measurement that does not take too long
}

// add adds a measurement, and prints its median: the table is complete only at the end.
func (r *report) add(name, unit string, rounds []float64, options ...option) {
	m := measurement{Name: name, Unit: unit, Rounds: rounds}
	for _, set := range options {
		set(&m)
	}
	r.Measurements = append(r.Measurements, m)
	fmt.Fprintf(os.Stderr, "%s  %s, %s: %s\n", time.Now().Format(time.TimeOnly), name, unit, formatMedian(rounds))
}

// addCurve adds a curve, and its exponent as a measurement.
func (r *report) addCurve(c *curve, options ...option) {
	r.Curves = append(r.Curves, *c)
	r.add(fmt.Sprintf("%s: exponent of %s", c.Plot, c.Name), "by "+c.Size, []float64{c.exponent()}, options...)
}

// repeatRounds runs a round several times and returns what the rounds have added. It begins no other round after the patience: the table contains the number
// of rounds.
func (r *report) repeatRounds(what string, patience time.Duration, round func(samples) error) (samples, error) {
	all, began := samples{}, time.Now()
	for i := 0; i < r.rounds && (i == 0 || time.Since(began) < patience); i++ {
		fmt.Fprintf(os.Stderr, "%s  %s, round %d\n", time.Now().Format(time.TimeOnly), what, i+1)
		if err := round(all); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
	}
	return all, nil
}

// isKept reports whether all limits are kept.
func (r *report) isKept() bool {
	for _, m := range r.Measurements {
		if !m.isMet() {
			return false
		}
	}
	return true
}

// listPeers returns the names of the peers, in the order in which they were measured.
func (r *report) listPeers() (names []string) {
	seen := map[string]bool{}
	for _, m := range r.Measurements {
		for _, p := range m.Peers {
			if !seen[p.Name] {
				names = append(names, p.Name)
			}
			seen[p.Name] = true
		}
	}
	return names
}

// listRows returns the cells of a table of all measurements, with its head.
func (r *report) listRows() (rows [][]string) {
	head := append([]string{"Measurement", "Unit", "Median", "Min–max", "Rounds", "Limit", "Met"}, r.listPeers()...)
	rows = append(rows, head)
	for _, m := range r.Measurements {
		limit, met := m.verdict()
		row := []string{m.Name, m.Unit, formatMedian(m.Rounds), formatRange(m.Rounds), strconv.Itoa(len(m.Rounds)), limit, met}
		for _, name := range r.listPeers() {
			cell := formatMedian(m.findPeer(name))
			if between := formatRange(m.findPeer(name)); between != "" {
				cell += " (" + between + ")"
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

// printTable prints all measurements.
func (r *report) printTable(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, row := range r.listRows() {
		for _, cell := range row {
			fmt.Fprintf(table, "%s\t", cell)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// saveJSON writes the report into a directory.
func (r *report) saveJSON(directory string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(directory, 0o755), os.WriteFile(filepath.Join(directory, r.Part+".json"), append(text, '\n'), 0o600))
}

// readReport reads the report of a part; nil if it was not measured.
func readReport(directory, part string) (*report, error) {
	text, err := os.ReadFile(filepath.Join(directory, part+".json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // it was not measured
	}
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read the report of part %s: %w", part, err)
	}
	return r, nil
}
