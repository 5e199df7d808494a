package report

import (
	"cmp"
	"fmt"
	"slices"

	g "maragu.dev/gomponents"
)

// partRow is one of a step that is many, in the timeline below its step.
type partRow struct {
	Part
	Name        string
	Mark, Class string
	Took        string
	Bar         bar
}

// boundParts makes rows of the first parts, and says how many more there are. Those that have not succeeded are among them.
func (r *row) boundParts(s scale) {
	parts := slices.Clone(r.Parts)
	if more := len(parts) - MaxParts; more > 0 {
		hasSucceeded := func(p Part) int {
			if p.Status == Succeeded {
				return 1
			}
			return 0
		}
		slices.SortStableFunc(parts, func(a, b Part) int { return cmp.Compare(hasSucceeded(a), hasSucceeded(b)) })
		parts = parts[:MaxParts]
		r.MoreParts = fmt.Sprintf("and %d more", more)
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return cmp.Compare(a.Index, b.Index) })
	for _, part := range parts {
		p := partRow{Part: part, Name: fmt.Sprint(part.Index), Mark: mark(part.Status), Class: class(part.Status), Bar: s.bar(Step{Started: part.Started, Ended: part.Ended})}
		if part.Item != "" {
			p.Name += " " + part.Item
		}
		if part.Attempts > 1 {
			p.Name += fmt.Sprintf(" (%d attempts)", part.Attempts)
		}
		if !part.Started.IsZero() && !part.Ended.Before(part.Started) {
			p.Took = duration(part.Ended.Sub(part.Started))
		}
		r.PartRows = append(r.PartRows, p)
	}
}

// parts are the rows of a step that is many.
func parts(r row, ticks []tick) g.Node {
	if len(r.PartRows) == 0 {
		return nil
	}
	return el("div", attr("class", "parts"),
		g.Map(r.PartRows, func(p partRow) g.Node {
			return el("div", attr("class", "row "+p.Class), hidden("span", "mark", p.Mark), el("span", attr("class", "name"), words(name(p.Name))), took(p.Status, p.Took), barOf(p.Bar, ticks))
		}),
		g.If(r.MoreParts != "", muted(r.MoreParts)),
	)
}
