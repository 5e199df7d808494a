package report

import (
	"fmt"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
)

// renderPage returns the page in reading order. gomponents escapes all texts and attribute values; only the style is inserted unescaped.
func renderPage(v view) g.Node {
	return g.Group{g.Raw("<!doctype html>"), g.El("html", g.Attr("lang", "en"),
		g.El("head",
			g.El("meta", g.Attr("charset", "utf-8")),
			g.El("meta", g.Attr("http-equiv", "Content-Security-Policy"), g.Attr("content", policy)),
			g.El("meta", g.Attr("name", "viewport"), g.Attr("content", "width=device-width, initial-scale=1")),
			g.El("meta", g.Attr("name", "color-scheme"), g.Attr("content", "light dark")),
			g.El("title", g.Text(oneLine(v.Name)+" "+oneLine(v.Status))),
			g.El("link", g.Attr("rel", "icon"), g.Attr("href", "data:,")),
			g.El("style", g.Raw(styleText)),
		),
		g.El("body",
			pageHeader(v),
			g.El("main", renderFailures(v), renderOutputs(v), renderGraph(v), renderTimeline(v)),
			g.El("footer", g.Iff(!v.Written.IsZero(), func() g.Node {
				return g.Group{g.Text("Written by the Brane provider on "), timeOf(v.Written), g.Text(".")}
			})),
		),
	)}
}

func pageHeader(v view) g.Node {
	lead := v.Tally
	if v.Took != "" {
		lead += " in " + v.Took
	}
	return g.El("header",
		g.El("h1", g.Text(oneLine(v.Name)+" "), g.El("span", g.Attr("class", "status "+v.Class), hideFromReaders("span", "", v.Mark), g.Text(" "+oneLine(v.Status)))),
		g.El("p", g.Attr("class", "lead"), g.Text(lead)),
		g.El("dl", g.Attr("class", "facts"),
			factItem("Run", g.El("code", g.Text(oneLine(v.ID)))),
			g.If(v.Infrastructure != "", factItem("Infrastructure", g.Text(oneLine(v.Infrastructure)))),
			g.If(v.Namespace != "", factItem("Namespace", g.Text(oneLine(v.Namespace)))),
			factOf("Started", v.Started, ""),
			factOf("Ended", v.Ended, ""),
		),
	)
}

func renderFailures(v view) g.Node {
	if v.Problem == "" && len(v.Failures) == 0 {
		return nil
	}
	problem := func(text string) g.Node { return g.El("pre", g.Attr("class", "problem"), g.Text(sanitizeText(text))) }
	return renderSection("failure", "What went wrong",
		g.If(v.Problem != "", problem(v.Problem)),
		g.Map(v.Failures, func(r row) g.Node {
			return g.Group{g.El("h3", stepLink(r.Index, r.Name)), problem(r.Failure)}
		}),
	)
}

func renderOutputs(v view) g.Node {
	return g.If(len(v.Outputs) > 0, renderSection("outputs", "Outputs", fileTable(v.Outputs)))
}

func renderGraph(v view) g.Node {
	if v.Drawing == nil && !v.TooLarge {
		return nil
	}
	return renderSection("graph", "Graph",
		g.If(v.TooLarge, mutedText("The graph has too many different steps to draw. Each step below lists the steps that it needs.")),
		g.Iff(v.Drawing != nil, func() g.Node { return drawGraph(v.Drawing) }),
	)
}

func drawGraph(d *drawing) g.Node {
	svg := g.El("svg", g.Attr("class", "graph"), numberAttr("width", d.Width), numberAttr("height", d.Height), g.Attr("viewBox", fmt.Sprintf("0 0 %s %s", formatNumber(d.Width), formatNumber(d.Height))),
		g.Attr("role", "group"), g.Attr("aria-labelledby", "graph-title"),
		g.El("title", g.Attr("id", "graph-title"), g.Text("Graph: an arrow points from each step to the steps that need it")),
		g.El("defs", g.El("marker", g.Attr("id", "tip"), g.Attr("viewBox", "0 0 8 8"), g.Attr("refX", "7"), g.Attr("refY", "4"), g.Attr("markerWidth", "7"),
			g.Attr("markerHeight", "7"), g.Attr("orient", "auto"), g.El("path", g.Attr("d", "M0 0.5L8 4L0 7.5z")))),
		g.Map(d.Lines, func(l line) g.Node {
			return g.El("path", g.Attr("class", "arrow to-"+l.Class), g.Attr("d", l.Path), g.Attr("marker-end", "url(#tip)"))
		}),
		g.Map(d.Boxes, drawBox),
	)
	return g.El("div", g.Attr("class", "scroll"), g.Attr("tabindex", "0"), g.Attr("role", "region"), g.Attr("aria-label", "Graph of the steps; scrolls if it is wider than the page"), svg)
}

func drawBox(b box) g.Node {
	frame := func(class string, more ...g.Node) g.Node {
		return g.El("rect", g.Attr("class", class), numberAttr("x", b.X), numberAttr("y", b.Y), numberAttr("width", b.W), numberAttr("height", b.H), g.Attr("rx", "6"), g.Group(more))
	}
	text := func(class, x, y, content string, more ...g.Node) g.Node {
		return g.El("text", g.Attr("class", class), g.Attr("x", x), g.Attr("y", y), g.Group(more), g.Text(content))
	}
	return g.El("a", g.Attr("class", "box "+b.Class), g.Attr("href", "#"+stepID(b.Link)),
		g.El("title", g.Text(b.Title)),
		g.If(b.Several, frame("behind", g.Attr("transform", "translate(4 4)"))),
		frame("front"),
		g.El("g", g.Attr("transform", fmt.Sprintf("translate(%s %s)", formatNumber(b.X), formatNumber(b.Y))),
			text("mark", "17", "26", b.Mark, g.Attr("text-anchor", "middle"), g.Attr("aria-hidden", "true")),
			text("name", "32", "18", b.Label),
			text("detail", "32", "34", b.Detail),
		),
	)
}

func renderTimeline(v view) g.Node {
	axis := g.El("svg", g.Attr("class", "bar"), g.Attr("width", "100%"), g.Attr("height", "18"), g.Map(v.Ticks, func(t tick) g.Node {
		return g.El("text", percentAttr("x", t.At), g.Attr("y", "13"), g.Attr("text-anchor", t.Anchor), g.Text(t.Label))
	}))
	return renderSection("steps", "Timeline",
		g.If(v.Waits, mutedText("A thin line shows the time from the creation of a step's Job to the start of its program.")),
		g.If(len(v.Ticks) > 0, g.El("div", g.Attr("class", "row axis"), g.Attr("aria-hidden", "true"), axis)),
		g.Map(v.Timeline, func(r row) g.Node { return stepDetails(r, v.Ticks) }),
	)
}

func stepDetails(r row, ticks []tick) g.Node {
	return g.Group{newline, g.El("details", g.Attr("class", "step "+r.Class), g.Attr("id", stepID(r.Index)), g.If(r.Open, g.Attr("open")),
		g.El("summary", g.Attr("class", "row"), hideFromReaders("span", "mark", r.Mark), g.El("span", g.Attr("class", "name"), g.Text(oneLine(r.Name))), durationOrStatus(r.Status, r.tookOrReused()), barOf(r.Bar, ticks)),
		fanOutRows(r, ticks),
		g.El("div", g.Attr("class", "more"),
			g.El("dl", g.Attr("class", "facts"),
				factItem("Status", g.Text(oneLine(r.Status))),
				g.If(r.Reused, factItem("Result", g.Text("of an earlier execution; the step did not run again"))),
				g.If(r.Image != "", factItem("Image", g.El("code", g.Text(oneLine(r.Image))))),
				g.If(len(r.NeedRows) > 0, factItem("Needs", needLinks(r.NeedRows))),
				factOf("Started", r.Started, r.Waited),
				factOf("Ended", r.Ended, ""),
				g.If(r.Attempts > 0, factItem("Attempts", g.Text(strconv.Itoa(r.Attempts)))),
				g.Iff(r.Code != nil, func() g.Node { return factItem("Exit code", g.Text(strconv.Itoa(*r.Code))) }),
			),
			g.If(r.Note != "", mutedText(sanitizeText(r.Note))),
			g.Iff(len(r.Files) > 0, func() g.Node {
				return g.Group{
					g.El("h3", g.Text("Files written: "+formatCount(r.FileCount, "file")+", "+formatSize(r.FileSize))), fileTable(r.Files),
					g.If(r.More != "", mutedText(r.More)),
				}
			}),
			g.Iff(r.Log != "", func() g.Node {
				title := "Output"
				if r.LogCut {
					title = "End of the output"
				}
				return g.Group{g.El("h3", g.Text(title)), g.El("pre", g.Attr("tabindex", "0"), g.Text(sanitizeText(r.Log)))}
			}),
		),
	)}
}

// durationOrStatus returns the duration of a step, or its status if the duration is not known.
func durationOrStatus(status Status, long string) g.Node {
	if long == "" {
		return g.El("span", g.Attr("class", "took"), g.Text(oneLine(status)))
	}
	return g.El("span", g.Attr("class", "took"), g.El("span", g.Attr("class", "hidden"), g.Text(oneLine(status)+" in ")), g.Text(long))
}

func barOf(b bar, ticks []tick) g.Node {
	piece := func(class string, x, width float64, more ...g.Node) g.Node {
		return g.El("rect", g.Attr("class", class), percentAttr("x", x), percentAttr("width", width), g.Group(more))
	}
	return g.El("svg", g.Attr("class", "bar"), g.Attr("width", "100%"), g.Attr("height", "32"), g.Attr("aria-hidden", "true"),
		g.Map(ticks, func(t tick) g.Node {
			return g.El("line", g.Attr("class", "tick"), percentAttr("x1", t.At), percentAttr("x2", t.At), g.Attr("y1", "0"), g.Attr("y2", "32"))
		}),
		g.If(b.Waits, piece("waits", b.WaitAt, b.WaitFor, g.Attr("y", "15"), g.Attr("height", "2"))),
		g.If(b.Runs, piece("runs", b.RunAt, b.RunFor, g.Attr("y", "10"), g.Attr("height", "12"), g.Attr("rx", "2"))),
	)
}

func needLinks(needs []need) g.Node {
	var links g.Group
	for i, need := range needs {
		if i > 0 {
			links = append(links, g.Text(", "))
		}
		links = append(links, stepLink(need.Index, need.Name))
	}
	return links
}

func fileTable(files []File) g.Node {
	return g.El("table",
		g.El("thead", g.El("tr", g.El("th", g.Attr("scope", "col"), g.Text("Path")), g.El("th", g.Attr("scope", "col"), g.Attr("class", "number"), g.Text("Size")))),
		g.El("tbody", g.Map(files, func(file File) g.Node {
			return g.El("tr", g.El("td", g.El("code", g.Text(oneLine(file.Path)))), g.El("td", g.Attr("class", "number"), g.Text(formatSize(file.Size))))
		})),
	)
}

// newline precedes each part of the page, for those who read its source.
var newline = g.Raw("\n")

func renderSection(id, title string, content ...g.Node) g.Node {
	return g.Group{newline, g.El("section", g.Attr("aria-labelledby", id), g.El("h2", g.Attr("id", id), g.Text(title)), g.Group(content))}
}

func factItem(title string, content g.Node) g.Node {
	return g.El("div", g.El("dt", g.Text(title)), g.El("dd", content))
}

// factOf returns a point in time, if it is known, and how long after the creation of the Job it was.
func factOf(title string, t time.Time, waited string) g.Node {
	if t.IsZero() {
		return nil
	}
	return factItem(title, g.Group{timeOf(t), g.If(waited != "", g.Text(", "+waited+" after its Job was created"))})
}

func timeOf(t time.Time) g.Node {
	return g.El("time", g.Attr("datetime", formatDateTime(t)), g.Text(formatTime(t)))
}

func mutedText(text string) g.Node { return g.El("p", g.Attr("class", "muted"), g.Text(text)) }

// hideFromReaders hides an element from screen readers, which read the same information as text beside it.
func hideFromReaders(element, class, text string) g.Node {
	return g.El(element, g.If(class != "", g.Attr("class", class)), g.Attr("aria-hidden", "true"), g.Text(text))
}

func stepID(index int) string { return "step-" + strconv.Itoa(index) }

func stepLink(index int, text string) g.Node {
	return g.El("a", g.Attr("href", "#"+stepID(index)), g.Text(oneLine(text)))
}

func numberAttr(attribute string, x float64) g.Node  { return g.Attr(attribute, formatNumber(x)) }
func percentAttr(attribute string, x float64) g.Node { return g.Attr(attribute, formatNumber(x)+"%") }
