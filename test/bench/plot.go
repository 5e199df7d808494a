package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	g "maragu.dev/gomponents"
)

// The size of a plot, and the room around its axes, in pixels.
const (
	plotWidth, plotHeight = 860.0, 420.0
	plotLeft, plotRight   = 70.0, 350.0 // the legend is on the right
	plotTop, plotBottom   = 20.0, 50.0
)

// colors are distinguishable by color-blind readers (Okabe and Ito), and on a dark page as well.
var colors = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"}

// axis maps values of a range to pixels, logarithmically.
type axis struct{ from, to, start, end float64 }

// newAxis returns an axis that begins and ends at 1, 2 or 5 times a power of ten.
func newAxis(values []float64, start, end float64) axis {
	a := axis{start: start, end: end}
	for _, tick := range listTicks(slices.Min(values)/10, slices.Max(values)*10) {
		if tick <= slices.Min(values) {
			a.from = tick
		}
		if tick >= slices.Max(values) && a.to <= a.from {
			a.to = tick
		}
	}
	return a
}

func (a axis) place(value float64) float64 {
	return a.start + (a.end-a.start)*math.Log(value/a.from)/math.Log(a.to/a.from)
}

// listTicks returns 1, 2 and 5 times the powers of ten in a range.
func listTicks(from, to float64) (ticks []float64) {
	for power := math.Floor(math.Log10(from)); power <= math.Log10(to); power++ {
		for _, factor := range []float64{1, 2, 5} {
			if tick := factor * math.Pow(10, power); tick >= from && tick <= to {
				ticks = append(ticks, tick)
			}
		}
	}
	return ticks
}

// drawPlot returns an SVG of curves with logarithmic axes: a curve is a straight line whose slope is its exponent. A vertical line at a point is its range.
func drawPlot(curves []curve) g.Node {
	var sizes, costs []float64
	for _, c := range curves {
		for _, p := range c.Points {
			sizes, costs = append(sizes, p.Size), append(costs, p.Rounds...)
		}
	}
	x, y := newAxis(sizes, plotLeft, plotWidth-plotRight), newAxis(costs, plotHeight-plotBottom, plotTop)
	nodes := g.Group{
		g.Attr("xmlns", "http://www.w3.org/2000/svg"), g.Attr("viewBox", fmt.Sprintf("0 0 %g %g", plotWidth, plotHeight)),
		g.Attr("font-family", "sans-serif"), g.Attr("font-size", "12"),
		newElement("rect", "width", "100%", "height", "100%", "fill", "white"),
	}
	for _, tick := range listTicks(x.from, x.to) {
		nodes = append(nodes, drawLine("#ddd", x.place(tick), y.start, x.place(tick), y.end), drawText(x.place(tick), y.start+18, "middle", formatTick(tick)))
	}
	for _, tick := range listTicks(y.from, y.to) {
		nodes = append(nodes, drawLine("#ddd", x.start, y.place(tick), x.end, y.place(tick)), drawText(x.start-8, y.place(tick)+4, "end", formatTick(tick)))
	}
	nodes = append(nodes, drawText((x.start+x.end)/2, y.start+40, "middle", curves[0].Size))
	for i, c := range curves {
		color, path := colors[i%len(colors)], ""
		for _, p := range c.Points {
			at, middle := x.place(p.Size), y.place(median(p.Rounds))
			path += fmt.Sprintf("%.1f,%.1f ", at, middle)
			nodes = append(nodes, newElement("circle", "cx", formatPixels(at), "cy", formatPixels(middle), "r", "3.5", "fill", color),
				drawLine(color, at, y.place(slices.Min(p.Rounds)), at, y.place(slices.Max(p.Rounds))))
		}
		row := y.end + 20*float64(i) + 10
		nodes = append(nodes, newElement("polyline", "points", path, "fill", "none", "stroke", color, "stroke-width", "1.5"),
			drawLine(color, x.end+20, row-4, x.end+40, row-4), drawText(x.end+46, row, "start", fmt.Sprintf("%s: size^%.2f", c.Name, c.exponent())))
	}
	return g.El("svg", nodes)
}

func drawLine(color string, x1, y1, x2, y2 float64) g.Node {
	return newElement("line", "x1", formatPixels(x1), "y1", formatPixels(y1), "x2", formatPixels(x2), "y2", formatPixels(y2), "stroke", color)
}

func drawText(x, y float64, anchor, text string) g.Node {
	return newElement("text", "x", formatPixels(x), "y", formatPixels(y), "text-anchor", anchor, "fill", "#333", text)
}

// newElement returns an element with pairs of attributes, and its text if there is one more string.
func newElement(name string, parts ...string) g.Node {
	var nodes g.Group
	for ; len(parts) > 1; parts = parts[2:] {
		nodes = append(nodes, g.Attr(parts[0], parts[1]))
	}
	for _, text := range parts {
		nodes = append(nodes, g.Text(text))
	}
	return g.El(name, nodes)
}

func formatPixels(pixels float64) string { return strconv.FormatFloat(pixels, 'f', 1, 64) }

// formatTick returns a tick without an exponent.
func formatTick(tick float64) string { return strconv.FormatFloat(tick, 'f', -1, 64) }
