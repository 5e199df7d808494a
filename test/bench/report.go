package main

import (
	"fmt"
	"os"
)

// report prints figures as they come.
type report struct{ missed int }

// add prints a figure; a limit of 0 is none.
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

// least is add for a figure that must not be smaller than its limit.
func (r *report) least(what string, figure, limit float64) {
	line := fmt.Sprintf("%-54s %9.*f   at least %g", what, decimals(figure), figure, limit)
	if figure < limit {
		line += "   MISSED"
		r.missed++
	}
	fmt.Fprintln(os.Stdout, line)
}

// decimals are those that tell a ratio from its limit; of large figures nobody reads them.
func decimals(figure float64) int {
	if figure < 10 {
		return 2
	}
	return 1
}

func (r *report) kept() bool { return r.missed == 0 }
