package report

import (
	"fmt"
	"strings"
)

// drawing is the drawn graph, in pixels.
type drawing struct {
	Width, Height float64
	Boxes         []box
	Lines         []line
}

// box is a node.
type box struct {
	X, Y, W, H  float64
	Label       string
	Title       string // the whole name and the status
	Detail      string // the second line
	Mark, Class string
	Link        int // index of the row that it links to
	Several     bool
}

// line is an arrow.
type line struct {
	Path  string
	Class string // of the node that it points to
}

// Sizes in pixels. The font of the labels is monospaced, so that the width of a box can be computed without a browser.
const (
	letter      = 7.25
	smallLetter = 6.65 // in a detail
	maxLabel    = 26   // characters of a label
	boxHeight   = 42.0
	aside       = 44.0 // left and right of a label: mark and padding
	margin      = 6.0  // around the drawing, for the shadows of boxes that represent several steps
	maxBoxes    = 500  // a picture with more is not readable
)

// layOutGraph lays out the graph. It returns nil if there is nothing to draw or too much.
func layOutGraph(rows []row) *drawing {
	if len(rows) < 2 {
		return nil
	}
	needs := make([][]int, len(rows))
	for i, r := range rows {
		for _, need := range r.NeedRows {
			needs[i] = append(needs[i], need.Index)
		}
	}
	nodes := groupSteps(reduceNeeds(needs))
	if len(nodes) > maxBoxes {
		return nil
	}
	boxes := make([]box, len(nodes))
	of := make([][]int, len(nodes))
	for i, n := range nodes {
		boxes[i], of[i] = newBox(rows, n), n.needs
	}
	if isLong(of) {
		return drawDownwards(boxes, of)
	}
	return drawRightwards(boxes, of)
}

func newBox(rows []row, n node) box {
	var members []row
	var names []string
	for _, i := range n.rows {
		members, names = append(members, rows[i]), append(names, oneLine(rows[i].Name))
	}
	status := worstStatus(members)
	b := box{H: boxHeight, Link: n.rows[0], Mark: statusMark(status), Class: statusClass(status), Several: len(members) > 1}
	if b.Several {
		for _, r := range members {
			if r.Status == status {
				b.Link = r.Index
				break
			}
		}
		b.Label, b.Detail = groupName([]string{shortenName(names[0], maxLabel/2-1), shortenName(names[len(names)-1], maxLabel/2-1)}), groupDetail(members)
		b.Title = fmt.Sprintf("%s: %s", groupName(names), countSteps(stepsOf(members)))
	} else {
		b.Label, b.Detail = shortenName(names[0], maxLabel), members[0].tookOrReused()
		if b.Detail == "" {
			b.Detail = oneLine(status)
		}
		b.Title = fmt.Sprintf("%s: %s", names[0], oneLine(status))
	}
	b.W = aside + max(letter*float64(max(len([]rune(b.Label)), 8)), smallLetter*float64(len([]rune(b.Detail))))
	return b
}

// isLong reports whether a graph is long and narrow. It is then drawn downwards, as a page scrolls.
func isLong(needs [][]int) bool {
	depth, layers := 0, map[int]int{}
	widest := 0
	for _, layer := range layersOf(needs) {
		depth = max(depth, layer+1)
		layers[layer]++
		widest = max(widest, layers[layer])
	}
	return depth > 6 && widest <= 4
}

// drawRightwards draws layers as columns, each as wide as its widest box.
func drawRightwards(boxes []box, needs [][]int) *drawing {
	const between, gap = 48.0, 14.0
	size := make([]float64, len(boxes))
	for i, b := range boxes {
		size[i] = b.H
	}
	l := newLayout(needs, size, gap)
	width := make([]float64, l.layers)
	for i, p := range l.places {
		width[p.layer] = max(width[p.layer], boxes[i].W)
	}
	left := make([]float64, l.layers)
	at := margin
	for n, w := range width {
		left[n] = at
		at += w + between
	}
	d := &drawing{Width: at - between + margin, Height: l.span + 2*margin, Boxes: boxes}
	for i, p := range l.places {
		b := &d.Boxes[i]
		b.W = width[p.layer]
		b.X, b.Y = left[p.layer], margin+p.breadth-b.H/2
	}
	for _, a := range l.arrows {
		from, to := boxes[a.from], boxes[a.to]
		c := curve{across: between / 2}
		c.startAt(from.X+from.W, from.Y+from.H/2)
		for n, y := range a.by {
			layer := l.places[a.from].layer + 1 + n
			c.curveTo(left[layer], margin+y)
			c.lineTo(left[layer]+width[layer], margin+y)
		}
		c.curveTo(to.X, to.Y+to.H/2)
		d.Lines = append(d.Lines, line{c.pathData(), to.Class})
	}
	return d
}

// drawDownwards draws layers as rows.
func drawDownwards(boxes []box, needs [][]int) *drawing {
	const between, gap = 30.0, 20.0
	size := make([]float64, len(boxes))
	for i, b := range boxes {
		size[i] = b.W
	}
	l := newLayout(needs, size, gap)
	d := &drawing{Width: l.span + 2*margin, Height: float64(l.layers)*(boxHeight+between) - between + 2*margin, Boxes: boxes}
	top := func(layer int) float64 { return margin + float64(layer)*(boxHeight+between) }
	for i, p := range l.places {
		b := &d.Boxes[i]
		b.X, b.Y = margin+p.breadth-b.W/2, top(p.layer)
	}
	for _, a := range l.arrows {
		from, to := boxes[a.from], boxes[a.to]
		c := curve{across: between / 2, isDown: true}
		c.startAt(from.Y+from.H, from.X+from.W/2)
		for n, x := range a.by {
			layer := l.places[a.from].layer + 1 + n
			c.curveTo(top(layer), margin+x)
			c.lineTo(top(layer)+boxHeight, margin+x)
		}
		c.curveTo(to.Y, to.X+to.W/2)
		d.Lines = append(d.Lines, line{c.pathData(), to.Class})
	}
	return d
}

// curve writes a path in the direction of the arrows: from left to right, or down.
type curve struct {
	across         float64 // distance of the control points of a bend from its ends
	isDown         bool
	depth, breadth float64
	text           strings.Builder
}

func (c *curve) formatPoint(depth, breadth float64) string {
	if c.isDown {
		return formatNumber(breadth) + " " + formatNumber(depth)
	}
	return formatNumber(depth) + " " + formatNumber(breadth)
}

func (c *curve) startAt(depth, breadth float64) {
	c.text.WriteString("M" + c.formatPoint(depth, breadth))
	c.depth, c.breadth = depth, breadth
}

func (c *curve) curveTo(depth, breadth float64) {
	across := max(c.across, (depth-c.depth)/2)
	fmt.Fprintf(&c.text, "C%s %s %s", c.formatPoint(c.depth+across, c.breadth), c.formatPoint(depth-across, breadth), c.formatPoint(depth, breadth))
	c.depth, c.breadth = depth, breadth
}

func (c *curve) lineTo(depth, breadth float64) {
	c.text.WriteString("L" + c.formatPoint(depth, breadth))
	c.depth, c.breadth = depth, breadth
}

func (c *curve) pathData() string { return c.text.String() }
