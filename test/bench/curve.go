package main

import "math"

// curve is how a cost grows with a size.
type curve struct {
	Plot   string // curves of one plot have the same name and the same kind of size
	Size   string // what the size is, for the axis
	Name   string
	Points []point
}

// point is the cost for one size.
type point struct {
	Size   float64
	Rounds []float64
}

// add adds a size.
func (c *curve) add(size int, rounds []float64) {
	c.Points = append(c.Points, point{float64(size), rounds})
}

// exponent fits cost = a × size^exponent to the medians, and returns the exponent of the two largest sizes if that is larger: what is paid for any size hides
// how the rest grows.
func (c *curve) exponent() float64 {
	var n, x, y, xx, xy float64
	for _, p := range c.Points {
		size, value := math.Log(p.Size), math.Log(median(p.Rounds))
		n, x, y, xx, xy = n+1, x+size, y+value, xx+size*size, xy+size*value
	}
	fitted := (n*xy - x*y) / (n*xx - x*x)
	last, before := c.Points[len(c.Points)-1], c.Points[len(c.Points)-2]
	return max(fitted, math.Log(median(last.Rounds)/median(before.Rounds))/math.Log(last.Size/before.Size))
}
