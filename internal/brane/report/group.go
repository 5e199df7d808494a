package report

import (
	"fmt"
	"slices"
	"strings"
)

// node is a box of the graph: a step, or several alike that are drawn as one.
type node struct {
	rows  []int // indices of the steps
	needs []int // indices of nodes; all before this one
}

// minAlike is how many steps with the same needs and the same dependents become one box. Fewer are quicker read one by one.
const minAlike = 6

// group makes the nodes of a graph whose needs are reduced. A fan-out of hundreds is one box: where each step stands, the timeline tells.
func group(needs [][]int) []node {
	dependents := make([][]int, len(needs))
	for i, of := range needs {
		for _, need := range of {
			dependents[need] = append(dependents[need], i)
		}
	}
	alike := map[string][]int{}
	kind := make([]string, len(needs))
	for i := range needs {
		if len(needs[i])+len(dependents[i]) > 0 {
			kind[i] = fmt.Sprint(needs[i], dependents[i])
		} else {
			kind[i] = "alone"
		}
		alike[kind[i]] = append(alike[kind[i]], i)
	}
	var nodes []node
	nodeOf := make([]int, len(needs))
	for i := range needs {
		same := alike[kind[i]]
		switch {
		case len(same) < minAlike:
			nodeOf[i] = len(nodes)
			nodes = append(nodes, node{rows: []int{i}})
		case same[0] == i:
			for _, row := range same {
				nodeOf[row] = len(nodes)
			}
			nodes = append(nodes, node{rows: same})
		}
	}
	for i := range nodes {
		for _, need := range needs[nodes[i].rows[0]] {
			nodes[i].needs = append(nodes[i].needs, nodeOf[need])
		}
		slices.Sort(nodes[i].needs)
		nodes[i].needs = slices.Compact(nodes[i].needs)
	}
	return nodes
}

// reduce leaves out the needs that follow from others: an arrow a → c says nothing new beside a → b → c. Needs point to smaller indices only.
func reduce(needs [][]int) [][]int {
	words := (len(needs) + 63) / 64
	above := make([][]uint64, len(needs)) // all that a step needs, directly or not, as bits
	reduced := make([][]int, len(needs))
	for i, of := range needs {
		above[i] = make([]uint64, words)
		of = slices.Compact(slices.Sorted(slices.Values(of)))
		for _, need := range slices.Backward(of) { // what follows from others comes after those
			if above[i][need/64]&(1<<(need%64)) == 0 {
				reduced[i] = append(reduced[i], need)
			}
			above[i][need/64] |= 1 << (need % 64)
			for w, bits := range above[need] {
				above[i][w] |= bits
			}
		}
		slices.Reverse(reduced[i])
	}
	return reduced
}

// groupName names a box of several steps by the first and the last of them.
func groupName(names []string) string {
	return names[0] + " … " + names[len(names)-1]
}

// worst is how the box of several steps is marked: by what needs attention first.
func worst(rows []row) Status {
	for _, status := range []Status{Failed, Stopped, Skipped} {
		if slices.ContainsFunc(rows, func(r row) bool { return r.Status == status }) {
			return status
		}
	}
	return rows[0].Status
}

func groupDetail(rows []row) string {
	return strings.ReplaceAll(tally(stepsOf(rows)), " succeeded", " ✓")
}

func stepsOf(rows []row) []Step {
	steps := make([]Step, len(rows))
	for i, r := range rows {
		steps[i] = r.Step
	}
	return steps
}
