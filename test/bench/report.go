package main

import (
	"fmt"
	"os"
)

// report prints figures as they are measured.
type report struct{ missed int }

// add prints a figure and its upper limit, if it is not 0.
func (r *report) add(what string, figure, limit float64, args ...any) {
	line := fmt.Sprintf("%-54s %9.*f", fmt.Sprintf(what, args...), decimals(figure), figure)
	if limit > 0 {
		line += fmt.Sprintf("   at most %g", limit)
		if figure > limit {
			line += "   MISSED"
			r.missed++
		}
	}
	fmt.Fprintln(os.Stdout, line)
}

// least prints a figure and its lower limit.
func (r *report) least(what string, figure, limit float64) {
	line := fmt.Sprintf("%-54s %9.*f   at least %g", what, decimals(figure), figure, limit)
	if figure < limit {
		line += "   MISSED"
		r.missed++
	}
	fmt.Fprintln(os.Stdout, line)
}

// decimals returns as many decimals as a comparison with the limit needs.
func decimals(figure float64) int {
	if figure < 10 {
		return 2
	}
	return 1
}

func (r *report) kept() bool { return r.missed == 0 }
