package report

import (
	"fmt"

	g "maragu.dev/gomponents"
)

// partRow is one index of a fan-out step, in the timeline below its step.
type partRow struct {
	Part
	Name        string
	Mark, Class string
	Took        string
	Bar         bar
}

// boundParts creates rows for the first indexes, including all that have not succeeded, and counts the others.
func (r *row) boundParts(s scale) {
	room := MaxParts
	for _, part := range r.Parts {
		if part.Status != Succeeded {
			room--
		}
	}
	for _, part := range r.Parts {
		if part.Status == Succeeded {
			room--
			if room < 0 {
				continue
			}
		} else if len(r.PartRows) == MaxParts {
			continue
		}
		p := partRow{Part: part, Name: fmt.Sprint(part.Index), Mark: statusMark(part.Status), Class: statusClass(part.Status), Bar: s.barOf(Step{Started: part.Started, Ended: part.Ended})}
		if part.Item != "" {
			p.Name += " " + part.Item
		}
		if part.Attempts > 1 {
			p.Name += fmt.Sprintf(" (%d attempts)", part.Attempts)
		}
		if !part.Started.IsZero() && !part.Ended.Before(part.Started) {
			p.Took = formatDuration(part.Ended.Sub(part.Started))
		}
		r.PartRows = append(r.PartRows, p)
	}
	if more := len(r.Parts) - len(r.PartRows); more > 0 {
		r.MoreParts = fmt.Sprintf("and %d more", more)
	}
}

// fanOutRows returns the rows of a fan-out step.
func fanOutRows(r row, ticks []tick) g.Node {
	if len(r.PartRows) == 0 {
		return nil
	}
	rows := g.Group{g.Attr("class", "parts")}
	for _, p := range r.PartRows {
		rows = append(rows, g.El("div", g.Attr("class", "row "+p.Class), hideFromReaders("span", "mark", p.Mark), g.El("span", g.Attr("class", "name"), g.Text(oneLine(p.Name))), durationOrStatus(p.Status, p.Took), barOf(p.Bar, ticks)))
	}
	if r.MoreParts != "" {
		rows = append(rows, mutedText(r.MoreParts))
	}
	return g.El("div", rows)
}
