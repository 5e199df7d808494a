package report

import (
	"fmt"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
)

// What a page is made of. Called by variables, these are not copied, with the functions that they return, into each place that uses them: 0.2 MiB of the provider.
var (
	el    = g.El
	attr  = g.Attr
	words = g.Text
)

// page is the page in the order in which it is read. gomponents escapes every text and every value of an attribute; nothing but the style goes in as it is.
func page(v view) g.Node {
	return g.Group{g.Raw("<!doctype html>"), el("html", attr("lang", "en"),
		el("head",
			el("meta", attr("charset", "utf-8")),
			el("meta", attr("http-equiv", "Content-Security-Policy"), attr("content", policy)),
			el("meta", attr("name", "viewport"), attr("content", "width=device-width, initial-scale=1")),
			el("meta", attr("name", "color-scheme"), attr("content", "light dark")),
			el("title", words(name(v.Name)+" "+name(v.Status))),
			el("link", attr("rel", "icon"), attr("href", "data:,")),
			el("style", g.Raw(styleText)),
		),
		el("body",
			pageHeader(v),
			el("main", failures(v), outputs(v), graph(v), timeline(v)),
			el("footer", g.Iff(!v.Written.IsZero(), func() g.Node {
				return g.Group{words("Written by the Brane provider on "), timeOf(v.Written), words(".")}
			})),
		),
	)}
}

func pageHeader(v view) g.Node {
	lead := v.Tally
	if v.Took != "" {
		lead += " in " + v.Took
	}
	return el("header",
		el("h1", words(name(v.Name)+" "), el("span", attr("class", "status "+v.Class), hidden("span", "", v.Mark), words(" "+name(v.Status)))),
		el("p", attr("class", "lead"), words(lead)),
		el("dl", attr("class", "facts"),
			fact("Run", el("code", words(name(v.ID)))),
			g.If(v.Infrastructure != "", fact("Infrastructure", words(name(v.Infrastructure)))),
			g.If(v.Namespace != "", fact("Namespace", words(name(v.Namespace)))),
			factOf("Started", v.Started, ""),
			factOf("Ended", v.Ended, ""),
		),
	)
}

func failures(v view) g.Node {
	if v.Problem == "" && len(v.Failures) == 0 {
		return nil
	}
	problem := func(text string) g.Node { return el("pre", attr("class", "problem"), words(clean(text))) }
	return section("failure", "What went wrong",
		g.If(v.Problem != "", problem(v.Problem)),
		g.Map(v.Failures, func(r row) g.Node {
			return g.Group{el("h3", stepLink(r.Index, r.Name)), problem(r.Failure)}
		}),
	)
}

func outputs(v view) g.Node {
	return g.If(len(v.Outputs) > 0, section("outputs", "Outputs", fileTable(v.Outputs)))
}

func graph(v view) g.Node {
	if v.Drawing == nil && !v.TooLarge {
		return nil
	}
	return section("graph", "Graph",
		g.If(v.TooLarge, muted("The graph has too many different steps for a picture. Each step below names those that it needs.")),
		g.Iff(v.Drawing != nil, func() g.Node { return picture(v.Drawing) }),
	)
}

func picture(d *drawing) g.Node {
	svg := el("svg", attr("class", "graph"), at("width", d.Width), at("height", d.Height), attr("viewBox", fmt.Sprintf("0 0 %s %s", num(d.Width), num(d.Height))),
		attr("role", "group"), attr("aria-labelledby", "graph-title"),
		el("title", attr("id", "graph-title"), words("Graph: an arrow leads from each step to those that need it")),
		el("defs", el("marker", attr("id", "tip"), attr("viewBox", "0 0 8 8"), attr("refX", "7"), attr("refY", "4"), attr("markerWidth", "7"),
			attr("markerHeight", "7"), attr("orient", "auto"), el("path", attr("d", "M0 0.5L8 4L0 7.5z")))),
		g.Map(d.Lines, func(l line) g.Node {
			return el("path", attr("class", "arrow to-"+l.Class), attr("d", l.Path), attr("marker-end", "url(#tip)"))
		}),
		g.Map(d.Boxes, boxOf),
	)
	return el("div", attr("class", "scroll"), attr("tabindex", "0"), attr("role", "region"), attr("aria-label", "Graph of the steps; scrolls where it is wider than the page"), svg)
}

func boxOf(b box) g.Node {
	frame := func(class string, more ...g.Node) g.Node {
		return el("rect", attr("class", class), at("x", b.X), at("y", b.Y), at("width", b.W), at("height", b.H), attr("rx", "6"), g.Group(more))
	}
	text := func(class, x, y, content string, more ...g.Node) g.Node {
		return el("text", attr("class", class), attr("x", x), attr("y", y), g.Group(more), words(content))
	}
	return el("a", attr("class", "box "+b.Class), attr("href", "#"+stepID(b.Link)),
		el("title", words(b.Title)),
		g.If(b.Several, frame("behind", attr("transform", "translate(4 4)"))),
		frame("front"),
		el("g", attr("transform", fmt.Sprintf("translate(%s %s)", num(b.X), num(b.Y))),
			text("mark", "17", "26", b.Mark, attr("text-anchor", "middle"), attr("aria-hidden", "true")),
			text("name", "32", "18", b.Label),
			text("detail", "32", "34", b.Detail),
		),
	)
}

func timeline(v view) g.Node {
	axis := el("svg", attr("class", "bar"), attr("width", "100%"), attr("height", "18"), g.Map(v.Ticks, func(t tick) g.Node {
		return el("text", percent("x", t.At), attr("y", "13"), attr("text-anchor", t.Anchor), words(t.Label))
	}))
	return section("steps", "Timeline",
		g.If(v.Waits, muted("A thin line is the time from the making of a step's Job until its program ran.")),
		g.If(len(v.Ticks) > 0, el("div", attr("class", "row axis"), attr("aria-hidden", "true"), axis)),
		g.Map(v.Timeline, func(r row) g.Node { return step(r, v.Ticks) }),
	)
}

func step(r row, ticks []tick) g.Node {
	return g.Group{newline, el("details", attr("class", "step "+r.Class), attr("id", stepID(r.Index)), g.If(r.Open, attr("open")),
		el("summary", attr("class", "row"), hidden("span", "mark", r.Mark), el("span", attr("class", "name"), words(name(r.Name))), took(r.Status, r.Took), barOf(r.Bar, ticks)),
		parts(r, ticks),
		el("div", attr("class", "more"),
			el("dl", attr("class", "facts"),
				fact("Status", words(name(r.Status))),
				g.If(r.Image != "", fact("Image", el("code", words(name(r.Image))))),
				g.If(len(r.NeedRows) > 0, fact("Needs", needLinks(r.NeedRows))),
				factOf("Started", r.Started, r.Waited),
				factOf("Ended", r.Ended, ""),
				g.If(r.Attempts > 0, fact("Attempts", words(strconv.Itoa(r.Attempts)))),
				g.Iff(r.Code != nil, func() g.Node { return fact("Exit code", words(strconv.Itoa(*r.Code))) }),
			),
			g.If(r.Note != "", muted(clean(r.Note))),
			g.Iff(len(r.Files) > 0, func() g.Node {
				return g.Group{
					el("h3", words("Files it wrote: "+count(r.FileCount, "file")+", "+size(r.FileSize))), fileTable(r.Files),
					g.If(r.More != "", muted(r.More)),
				}
			}),
			g.Iff(r.Log != "", func() g.Node {
				title := "Its output"
				if r.LogCut {
					title = "The end of its output"
				}
				return g.Group{el("h3", words(title)), el("pre", attr("tabindex", "0"), words(clean(r.Log)))}
			}),
		),
	)}
}

// took is how long something took, or how it ended where that is not known.
func took(status Status, long string) g.Node {
	if long == "" {
		return el("span", attr("class", "took"), words(name(status)))
	}
	return el("span", attr("class", "took"), el("span", attr("class", "hidden"), words(name(status)+" in ")), words(long))
}

func barOf(b bar, ticks []tick) g.Node {
	piece := func(class string, x, width float64, more ...g.Node) g.Node {
		return el("rect", attr("class", class), percent("x", x), percent("width", width), g.Group(more))
	}
	return el("svg", attr("class", "bar"), attr("width", "100%"), attr("height", "32"), attr("aria-hidden", "true"),
		g.Map(ticks, func(t tick) g.Node {
			return el("line", attr("class", "tick"), percent("x1", t.At), percent("x2", t.At), attr("y1", "0"), attr("y2", "32"))
		}),
		g.If(b.Waits, piece("waits", b.WaitAt, b.WaitFor, attr("y", "15"), attr("height", "2"))),
		g.If(b.Runs, piece("runs", b.RunAt, b.RunFor, attr("y", "10"), attr("height", "12"), attr("rx", "2"))),
	)
}

func needLinks(needs []need) g.Node {
	var links g.Group
	for i, need := range needs {
		if i > 0 {
			links = append(links, words(", "))
		}
		links = append(links, stepLink(need.Index, need.Name))
	}
	return links
}

func fileTable(files []File) g.Node {
	return el("table",
		el("thead", el("tr", el("th", attr("scope", "col"), words("Path")), el("th", attr("scope", "col"), attr("class", "number"), words("Size")))),
		el("tbody", g.Map(files, func(file File) g.Node {
			return el("tr", el("td", el("code", words(name(file.Path)))), el("td", attr("class", "number"), words(size(file.Size))))
		})),
	)
}

// newline stands before each part of the page, for those who read its text.
var newline = g.Raw("\n")

func section(id, title string, content ...g.Node) g.Node {
	return g.Group{newline, el("section", attr("aria-labelledby", id), el("h2", attr("id", id), words(title)), g.Group(content))}
}

func fact(title string, content g.Node) g.Node {
	return el("div", el("dt", words(title)), el("dd", content))
}

// factOf is a moment, where it is known, and how long after its Job's making it was.
func factOf(title string, t time.Time, waited string) g.Node {
	if t.IsZero() {
		return nil
	}
	return fact(title, g.Group{timeOf(t), g.If(waited != "", words(", "+waited+" after its Job was made"))})
}

func timeOf(t time.Time) g.Node { return el("time", attr("datetime", datetime(t)), words(moment(t))) }

func muted(text string) g.Node { return el("p", attr("class", "muted"), words(text)) }

// hidden is for the eye only: what it says stands beside it in words.
func hidden(element, class, text string) g.Node {
	return el(element, g.If(class != "", attr("class", class)), attr("aria-hidden", "true"), words(text))
}

func stepID(index int) string { return "step-" + strconv.Itoa(index) }

func stepLink(index int, text string) g.Node {
	return el("a", attr("href", "#"+stepID(index)), words(name(text)))
}

func at(attribute string, x float64) g.Node      { return attr(attribute, num(x)) }
func percent(attribute string, x float64) g.Node { return attr(attribute, num(x)+"%") }
