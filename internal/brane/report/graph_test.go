package report

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// rowsOf returns the rows of a graph that is written as "a, b: a, c: a b".
func rowsOf(graph string) []row {
	index := map[string]int{}
	var rows []row
	for _, text := range strings.Split(graph, ", ") {
		name, needs, _ := strings.Cut(text, ":")
		r := row{Index: len(rows), Step: Step{Name: name, Status: Succeeded}}
		for _, need := range strings.Fields(needs) {
			r.NeedRows = append(r.NeedRows, toNeed(index[need], need))
		}
		index[name] = len(rows)
		rows = append(rows, r)
	}
	return rows
}

func toNeed(index int, name string) need { return need{Index: index, Name: name} }

func TestDraw(t *testing.T) {
	for name, tt := range map[string]struct{ graph, want string }{
		"one after the other":                                 {"a, b:a, c:b", "a(1) b(2) c(3); a→b b→c"},
		"what follows from others is not drawn":               {"a, b:a, c:b a", "a(1) b(2) c(3); a→b b→c"},
		"a diamond":                                           {"a, b:a, c:a, d:b c", "a(1) b(2) c(2) d(3); a→b a→c b→d c→d"},
		"what needs nothing stands before what needs it":      {"a, b:a, c:b, late, d:c late", "a(1) b(2) c(3) late(3) d(4); a→b b→c c→d late→d"},
		"five alike are drawn each for itself":                {"s, a:s, b:s, c:s, d:s, e:s", "s(1) a(2) b(2) c(2) d(2) e(2); s→a s→b s→c s→d s→e"},
		"six alike are one box":                               {"s, a:s, b:s, c:s, d:s, e:s, f:s, m:a b c d e f", "s(1) a … f(2) m(3); s→a … f a … f→m"},
		"those with other dependents are not alike":           {"s, a:s, b:s, c:s, d:s, e:s, f:s, m:f", "s(1) a(2) b(2) c(2) d(2) e(2) f(2) m(3); s→a s→b s→c s→d s→e s→f f→m"},
		"six that have to do with nobody are one box as well": {"a, b, c, d, e, f", "a … f(1); "},
	} {
		t.Run(name, func(t *testing.T) {
			d := layOutGraph(rowsOf(tt.graph))
			var columns []float64
			var boxes, lines []string
			at := map[string]string{} // point where an arrow may begin or end → box
			for _, b := range d.Boxes {
				columns = append(columns, b.X)
				at["from"+point(b.X+b.W, b.Y+b.H/2)], at["to"+point(b.X, b.Y+b.H/2)] = b.Label, b.Label
			}
			for _, b := range d.Boxes {
				boxes = append(boxes, fmt.Sprintf("%s(%d)", b.Label, rank(columns, b.X)))
			}
			for _, l := range d.Lines {
				numbers := strings.FieldsFunc(l.Path, func(r rune) bool { return strings.ContainsRune("MCL ", r) })
				lines = append(lines, at["from"+numbers[0]+" "+numbers[1]]+"→"+at["to"+numbers[len(numbers)-2]+" "+numbers[len(numbers)-1]])
			}
			if got := strings.Join(boxes, " ") + "; " + strings.Join(lines, " "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func point(x, y float64) string { return formatNumber(x) + " " + formatNumber(y) }

// rank returns the position of value among the different values.
func rank(values []float64, value float64) int {
	smaller := map[float64]bool{}
	for _, v := range values {
		if v < value {
			smaller[v] = true
		}
	}
	return len(smaller) + 1
}

// TestLayoutCrossesLittleAndStaysStraight checks that two separate chains are straight and do not cross, in any order of the steps.
func TestLayoutCrossesLittleAndStaysStraight(t *testing.T) {
	l := newLayout([][]int{nil, nil, {1}, {0}, {2}, {3}}, []float64{10, 10, 10, 10, 10, 10}, 5)
	for _, a := range l.arrows {
		if l.places[a.from].breadth != l.places[a.to].breadth {
			t.Errorf("the arrow from %d to %d is not straight: %v", a.from, a.to, l.places)
		}
	}
}

// TestDrawingsOfRandomGraphs checks that boxes never overlap and are always within the drawing.
func TestDrawingsOfRandomGraphs(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 150 {
		n := 2 + random.IntN(60)
		rows := make([]row, n)
		for i := range rows {
			rows[i] = row{Index: i, Step: Step{Name: fmt.Sprintf("step-%d", i), Status: Succeeded}}
			for range random.IntN(4) {
				if i > 0 {
					need := random.IntN(i)
					rows[i].NeedRows = append(rows[i].NeedRows, toNeed(need, rows[need].Name))
				}
			}
		}
		d := layOutGraph(rows)
		for i, b := range d.Boxes {
			if b.X < 0 || b.Y < 0 || b.X+b.W > d.Width || b.Y+b.H > d.Height {
				t.Fatalf("%q lies outside of the drawing of %s × %s: %+v", b.Label, formatNumber(d.Width), formatNumber(d.Height), b)
			}
			for _, other := range d.Boxes[:i] {
				if b.X < other.X+other.W && other.X < b.X+b.W && b.Y < other.Y+other.H && other.Y < b.Y+b.H {
					t.Fatalf("%q and %q overlap", b.Label, other.Label)
				}
			}
		}
	}
}

// TestDenseGraphsAreBounded checks that the work for 400 steps that each need 30 others is bounded by maxBends.
func TestDenseGraphsAreBounded(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	needs := make([][]int, 400)
	for i := range needs {
		for range min(i, 30) {
			needs[i] = append(needs[i], random.IntN(i))
		}
	}
	l := newLayout(needs, make([]float64, len(needs)), 5)
	bends := 0
	for _, a := range l.arrows {
		bends += len(a.by)
	}
	if bends > maxBends {
		t.Errorf("there are %d bends", bends)
	}
}
