package report

import (
	"fmt"
	"strconv"
	"time"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// page is the page in the order in which it is read. gomponents escapes every text and every value of an attribute; nothing but the style goes in as it is.
func page(v view) g.Node {
	return h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(g.Attr("http-equiv", "Content-Security-Policy"), h.Content(policy)),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.TitleEl(g.Text(name(v.Name)+" "+name(v.Status))),
			h.Link(h.Rel("icon"), h.Href("data:,")),
			h.StyleEl(g.Raw(styleText)),
		),
		h.Body(
			pageHeader(v),
			h.Main(failures(v), outputs(v), graph(v), timeline(v)),
			h.Footer(g.Iff(!v.Written.IsZero(), func() g.Node {
				return g.Group{g.Text("Written by the Brane provider on "), timeOf(v.Written), g.Text(".")}
			})),
		),
	))
}

func pageHeader(v view) g.Node {
	lead := v.Tally
	if v.Took != "" {
		lead += " in " + v.Took
	}
	return h.Header(
		h.H1(g.Text(name(v.Name)+" "), h.Span(h.Class("status "+v.Class), hidden("span", "", v.Mark), g.Text(" "+name(v.Status)))),
		h.P(h.Class("lead"), g.Text(lead)),
		h.Dl(h.Class("facts"),
			fact("Run", h.Code(g.Text(name(v.ID)))),
			g.If(v.Infrastructure != "", fact("Infrastructure", g.Text(name(v.Infrastructure)))),
			g.If(v.Namespace != "", fact("Namespace", g.Text(name(v.Namespace)))),
			factOf("Started", v.Started, ""),
			factOf("Ended", v.Ended, ""),
		),
	)
}

func failures(v view) g.Node {
	if v.Problem == "" && len(v.Failures) == 0 {
		return nil
	}
	problem := func(text string) g.Node { return h.Pre(h.Class("problem"), g.Text(clean(text))) }
	return section("failure", "What went wrong",
		g.If(v.Problem != "", problem(v.Problem)),
		g.Map(v.Failures, func(r row) g.Node {
			return g.Group{h.H3(stepLink(r.Index, r.Name)), problem(r.Failure)}
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
	svg := g.El("svg", h.Class("graph"), at("width", d.Width), at("height", d.Height), g.Attr("viewBox", fmt.Sprintf("0 0 %s %s", num(d.Width), num(d.Height))),
		h.Role("group"), g.Attr("aria-labelledby", "graph-title"),
		g.El("title", h.ID("graph-title"), g.Text("Graph: an arrow leads from each step to those that need it")),
		g.El("defs", g.El("marker", h.ID("tip"), g.Attr("viewBox", "0 0 8 8"), g.Attr("refX", "7"), g.Attr("refY", "4"), g.Attr("markerWidth", "7"),
			g.Attr("markerHeight", "7"), g.Attr("orient", "auto"), g.El("path", g.Attr("d", "M0 0.5L8 4L0 7.5z")))),
		g.Map(d.Lines, func(l line) g.Node {
			return g.El("path", h.Class("arrow to-"+l.Class), g.Attr("d", l.Path), g.Attr("marker-end", "url(#tip)"))
		}),
		g.Map(d.Boxes, boxOf),
	)
	return h.Div(h.Class("scroll"), h.TabIndex("0"), h.Role("region"), h.Aria("label", "Graph of the steps; scrolls where it is wider than the page"), svg)
}

func boxOf(b box) g.Node {
	frame := func(class string, more ...g.Node) g.Node {
		return g.El("rect", h.Class(class), at("x", b.X), at("y", b.Y), at("width", b.W), at("height", b.H), g.Attr("rx", "6"), g.Group(more))
	}
	text := func(class, x, y, content string, more ...g.Node) g.Node {
		return g.El("text", h.Class(class), g.Attr("x", x), g.Attr("y", y), g.Group(more), g.Text(content))
	}
	return h.A(h.Class("box "+b.Class), h.Href("#"+stepID(b.Link)),
		g.El("title", g.Text(b.Title)),
		g.If(b.Several, frame("behind", g.Attr("transform", "translate(4 4)"))),
		frame("front"),
		g.El("g", g.Attr("transform", fmt.Sprintf("translate(%s %s)", num(b.X), num(b.Y))),
			text("mark", "17", "26", b.Mark, g.Attr("text-anchor", "middle"), h.Aria("hidden", "true")),
			text("name", "32", "18", b.Label),
			text("detail", "32", "34", b.Detail),
		),
	)
}

func timeline(v view) g.Node {
	axis := g.El("svg", h.Class("bar"), h.Width("100%"), h.Height("18"), g.Map(v.Ticks, func(t tick) g.Node {
		return g.El("text", percent("x", t.At), g.Attr("y", "13"), g.Attr("text-anchor", t.Anchor), g.Text(t.Label))
	}))
	return section("steps", "Timeline",
		g.If(v.Waits, muted("A thin line is the time from the making of a step's Job until its program ran.")),
		g.If(len(v.Ticks) > 0, h.Div(h.Class("row axis"), h.Aria("hidden", "true"), axis)),
		g.Map(v.Timeline, func(r row) g.Node { return step(r, v.Ticks) }),
	)
}

func step(r row, ticks []tick) g.Node {
	took := g.Group{g.Text(name(r.Status))}
	if r.Took != "" {
		took = g.Group{h.Span(h.Class("hidden"), g.Text(name(r.Status)+" in ")), g.Text(r.Took)}
	}
	return g.Group{newline, h.Details(h.Class("step "+r.Class), h.ID(stepID(r.Index)), g.If(r.Open, g.Attr("open")),
		h.Summary(h.Class("row"), hidden("span", "mark", r.Mark), h.Span(h.Class("name"), g.Text(name(r.Name))), h.Span(h.Class("took"), took), barOf(r.Bar, ticks)),
		h.Div(h.Class("more"),
			h.Dl(h.Class("facts"),
				fact("Status", g.Text(name(r.Status))),
				g.If(r.Image != "", fact("Image", h.Code(g.Text(name(r.Image))))),
				g.If(len(r.NeedRows) > 0, fact("Needs", needLinks(r.NeedRows))),
				factOf("Started", r.Started, r.Waited),
				factOf("Ended", r.Ended, ""),
				g.If(r.Attempts > 0, fact("Attempts", g.Text(strconv.Itoa(r.Attempts)))),
				g.Iff(r.Code != nil, func() g.Node { return fact("Exit code", g.Text(strconv.Itoa(*r.Code))) }),
			),
			g.If(r.Note != "", muted(clean(r.Note))),
			g.Iff(len(r.Files) > 0, func() g.Node {
				return g.Group{
					h.H3(g.Text("Files it wrote: " + count(r.FileCount, "file") + ", " + size(r.FileSize))), fileTable(r.Files),
					g.If(r.More != "", muted(r.More)),
				}
			}),
			g.Iff(r.Log != "", func() g.Node {
				title := "Its output"
				if r.LogCut {
					title = "The end of its output"
				}
				return g.Group{h.H3(g.Text(title)), h.Pre(h.TabIndex("0"), g.Text(clean(r.Log)))}
			}),
		),
	)}
}

func barOf(b bar, ticks []tick) g.Node {
	piece := func(class string, x, width float64, more ...g.Node) g.Node {
		return g.El("rect", h.Class(class), percent("x", x), percent("width", width), g.Group(more))
	}
	return g.El("svg", h.Class("bar"), h.Width("100%"), h.Height("32"), h.Aria("hidden", "true"),
		g.Map(ticks, func(t tick) g.Node {
			return g.El("line", h.Class("tick"), percent("x1", t.At), percent("x2", t.At), g.Attr("y1", "0"), g.Attr("y2", "32"))
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
	return h.Table(
		h.THead(h.Tr(h.Th(g.Attr("scope", "col"), g.Text("Path")), h.Th(g.Attr("scope", "col"), h.Class("number"), g.Text("Size")))),
		h.TBody(g.Map(files, func(file File) g.Node {
			return h.Tr(h.Td(h.Code(g.Text(name(file.Path)))), h.Td(h.Class("number"), g.Text(size(file.Size))))
		})),
	)
}

// newline stands before each part of the page, for those who read its text.
var newline = g.Raw("\n")

func section(id, title string, content ...g.Node) g.Node {
	return g.Group{newline, h.Section(h.Aria("labelledby", id), h.H2(h.ID(id), g.Text(title)), g.Group(content))}
}

func fact(title string, content g.Node) g.Node {
	return h.Div(h.Dt(g.Text(title)), h.Dd(content))
}

// factOf is a moment, where it is known, and how long after its Job's making it was.
func factOf(title string, t time.Time, waited string) g.Node {
	if t.IsZero() {
		return nil
	}
	return fact(title, g.Group{timeOf(t), g.If(waited != "", g.Text(", "+waited+" after its Job was made"))})
}

func timeOf(t time.Time) g.Node { return h.Time(h.DateTime(datetime(t)), g.Text(moment(t))) }

func muted(text string) g.Node { return h.P(h.Class("muted"), g.Text(text)) }

// hidden is for the eye only: what it says stands beside it in words.
func hidden(element, class, text string) g.Node {
	return g.El(element, g.If(class != "", h.Class(class)), h.Aria("hidden", "true"), g.Text(text))
}

func stepID(index int) string { return "step-" + strconv.Itoa(index) }

func stepLink(index int, text string) g.Node {
	return h.A(h.Href("#"+stepID(index)), g.Text(name(text)))
}

func at(attribute string, x float64) g.Node      { return g.Attr(attribute, num(x)) }
func percent(attribute string, x float64) g.Node { return g.Attr(attribute, num(x)+"%") }
