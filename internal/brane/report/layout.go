package report

import (
	"cmp"
	"slices"
)

// A layered layout after Sugiyama: it puts each node into a layer after all its needs, orders the layers so that few arrows cross, and
// positions the nodes so that arrows are straight. Depth is the direction of the arrows, breadth the one across. The layout does not know
// which of them is drawn from left to right.

// place is the position of a node: its middle across the arrows, and its layer along them.
type place struct {
	layer   int
	breadth float64
}

// layout is the position of the nodes and arrows.
type layout struct {
	places []place
	layers int
	span   float64 // total breadth
	arrows []arrow
}

// arrow runs from a node to one that needs it, and crosses each layer between them at the given breadth.
type arrow struct {
	from, to int
	by       []float64
}

// maxBends bounds the work for dense graphs. Other arrows are drawn straight.
const maxBends = 4000

// sketch is a layout in progress: the nodes, and a bend for each layer that an arrow crosses.
type sketch struct {
	layer  []int     // layer of each node and bend
	size   []float64 // breadth of each node and bend
	above  [][]int   // neighbours in the layer above
	below  [][]int   // and below
	layers [][]int   // nodes and bends of each layer, in order
	middle []float64
	arrows []passing
	bends  int
}

type passing struct {
	from, to int
	bends    []int
}

// newLayout lays out nodes. Needs refer to smaller indices only; size is the breadth of each node, gap the distance between two.
func newLayout(needs [][]int, size []float64, gap float64) layout {
	s := sketch{layer: layersOf(needs), size: slices.Clone(size)}
	s.above, s.below = make([][]int, len(needs)), make([][]int, len(needs))
	for i, of := range needs {
		for _, need := range of {
			s.connectNodes(need, i)
		}
	}
	for i, layer := range s.layer {
		for len(s.layers) <= layer {
			s.layers = append(s.layers, nil)
		}
		s.layers[layer] = append(s.layers[layer], i)
	}
	s.orderLayers()
	s.straightenEdges(gap)
	return s.toLayout(len(needs))
}

// layersOf puts each node into the layer after the last of its needs, and a node without needs into the layer before its first dependent.
func layersOf(needs [][]int) []int {
	layer := make([]int, len(needs))
	first := make([]int, len(needs)) // layer of the first dependent
	for i, of := range needs {
		for _, need := range of {
			layer[i] = max(layer[i], layer[need]+1)
		}
	}
	for i, of := range needs {
		for _, need := range of {
			if first[need] == 0 || layer[i] < first[need] {
				first[need] = layer[i]
			}
		}
	}
	for i, of := range needs {
		if len(of) == 0 && first[i] > 0 {
			layer[i] = first[i] - 1
		}
	}
	return layer
}

func (s *sketch) connectNodes(from, to int) {
	p := passing{from: from, to: to}
	last := from
	if bends := s.layer[to] - s.layer[from] - 1; s.bends+bends <= maxBends {
		s.bends += bends
		for layer := s.layer[from] + 1; layer < s.layer[to]; layer++ {
			bend := len(s.layer)
			s.layer, s.size = append(s.layer, layer), append(s.size, 0)
			s.above, s.below = append(s.above, nil), append(s.below, nil)
			s.joinNodes(last, bend)
			p.bends, last = append(p.bends, bend), bend
		}
		s.joinNodes(last, to)
	}
	s.arrows = append(s.arrows, p)
}

func (s *sketch) joinNodes(from, to int) {
	s.below[from], s.above[to] = append(s.below[from], to), append(s.above[to], from)
}

// orderLayers sorts each layer by the positions of the neighbours, alternately from above and below, and keeps the order with the fewest
// crossings.
func (s *sketch) orderLayers() {
	best, fewest := s.copyLayers(), s.countCrossings()
	for turn := range 8 {
		if fewest == 0 {
			break
		}
		position := s.nodePositions()
		neighbours := s.above
		if turn%2 == 1 {
			neighbours = s.below
		}
		for n := range s.layers {
			layer := s.layers[n]
			if turn%2 == 1 {
				layer = s.layers[len(s.layers)-1-n]
			}
			mean := map[int]float64{}
			for _, i := range layer {
				mean[i] = averageOf(neighbours[i], func(j int) float64 { return float64(position[j]) }, float64(position[i]))
			}
			slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(mean[a], mean[b]) })
			for at, i := range layer {
				position[i] = at
			}
		}
		if crossings := s.countCrossings(); crossings < fewest {
			best, fewest = s.copyLayers(), crossings
		}
	}
	s.layers = best
}

func (s *sketch) nodePositions() []int {
	position := make([]int, len(s.layer))
	for _, layer := range s.layers {
		for at, i := range layer {
			position[i] = at
		}
	}
	return position
}

func (s *sketch) copyLayers() [][]int {
	layers := make([][]int, len(s.layers))
	for i, layer := range s.layers {
		layers[i] = slices.Clone(layer)
	}
	return layers
}

// countCrossings counts the pairs of arrows that cross in each layer: the inversions of their ends, with a binary indexed tree.
func (s *sketch) countCrossings() (crossings int) {
	position := s.nodePositions()
	for n := 1; n < len(s.layers); n++ {
		var ends []int
		for _, i := range s.layers[n-1] {
			of := make([]int, len(s.below[i]))
			for k, j := range s.below[i] {
				of[k] = position[j]
			}
			slices.Sort(of)
			ends = append(ends, of...)
		}
		seen := make([]int, len(s.layers[n])+1)
		for count, end := range ends {
			notAfter := 0
			for at := end + 1; at > 0; at -= at & -at {
				notAfter += seen[at]
			}
			crossings += count - notAfter
			for at := end + 1; at < len(seen); at += at & -at {
				seen[at]++
			}
		}
	}
	return crossings
}

// straightenEdges moves the nodes of each layer towards their neighbours, alternately from above and below, as far as their order and the gaps
// allow.
func (s *sketch) straightenEdges(gap float64) {
	s.middle = make([]float64, len(s.layer))
	for _, layer := range s.layers {
		s.placeLayer(layer, gap, func(int) float64 { return 0 })
	}
	for turn := range 12 {
		for n := range s.layers {
			layer, neighbours := s.layers[n], s.above
			if turn%2 == 1 {
				layer, neighbours = s.layers[len(s.layers)-1-n], s.below
			}
			s.placeLayer(layer, gap, func(i int) float64 {
				return averageOf(neighbours[i], func(j int) float64 { return s.middle[j] }, s.middle[i])
			})
		}
	}
}

// placeLayer positions a layer so that the sum of squared distances from the wanted positions is minimal: neighbours that would overlap are
// joined into blocks, whose position is the mean of what their members want (pool adjacent violators).
func (s *sketch) placeLayer(layer []int, gap float64, wanted func(int) float64) {
	type block struct {
		sum   float64
		count int
	}
	offset := make([]float64, len(layer)) // of each node from the first, without free space
	var blocks []block
	for at, i := range layer {
		if at > 0 {
			between := gap
			if s.size[i] == 0 && s.size[layer[at-1]] == 0 {
				between = gap / 2 // two bends need less
			}
			offset[at] = offset[at-1] + (s.size[layer[at-1]]+s.size[i])/2 + between
		}
		b := block{wanted(i) - offset[at], 1}
		for len(blocks) > 0 && blocks[len(blocks)-1].sum/float64(blocks[len(blocks)-1].count) > b.sum/float64(b.count) {
			last := blocks[len(blocks)-1]
			b = block{b.sum + last.sum, b.count + last.count}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	at := 0
	for _, b := range blocks {
		for range b.count {
			s.middle[layer[at]] = b.sum/float64(b.count) + offset[at]
			at++
		}
	}
}

func averageOf(of []int, value func(int) float64, otherwise float64) float64 {
	if len(of) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, i := range of {
		sum += value(i)
	}
	return sum / float64(len(of))
}

// toLayout returns the result, moved so that it begins at 0.
func (s *sketch) toLayout(nodes int) layout {
	least, most := 0.0, 0.0
	for i, middle := range s.middle {
		if i == 0 || middle-s.size[i]/2 < least {
			least = middle - s.size[i]/2
		}
		if i == 0 || middle+s.size[i]/2 > most {
			most = middle + s.size[i]/2
		}
	}
	l := layout{layers: len(s.layers), span: most - least}
	for i := range nodes {
		l.places = append(l.places, place{s.layer[i], s.middle[i] - least})
	}
	for _, p := range s.arrows {
		a := arrow{from: p.from, to: p.to}
		for _, bend := range p.bends {
			a.by = append(a.by, s.middle[bend]-least)
		}
		l.arrows = append(l.arrows, a)
	}
	return l
}
