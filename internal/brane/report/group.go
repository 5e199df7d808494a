package report

import (
	"fmt"
	"slices"
	"strings"
)

// node is a box of the graph: one step, or several similar ones that are drawn as one.
type node struct {
	rows  []int // indices of the steps
	needs []int // indices of nodes, all smaller than its own
}

// minAlike is the number of steps with the same needs and the same dependents from which they become one box. Fewer are easier to read
// separately.
const minAlike = 6

// groupSteps returns the nodes of a graph whose needs are reduced. A fan-out of hundreds of steps is one box; the timeline shows each of them.
func groupSteps(needs [][]int) []node {
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

// reduceNeeds removes the needs that follow from others: an arrow a → c is redundant beside a → b → c. Needs refer to smaller indices only.
func reduceNeeds(needs [][]int) [][]int {
	words := (len(needs) + 63) / 64
	above := make([][]uint64, len(needs)) // all direct and indirect needs of a step, as bits
	reduced := make([][]int, len(needs))
	for i, of := range needs {
		above[i] = make([]uint64, words)
		of = slices.Compact(slices.Sorted(slices.Values(of)))
		for _, need := range slices.Backward(of) { // the needs of a need have smaller indices
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

// groupName names a box of several steps by its first and last.
func groupName(names []string) string {
	return names[0] + " … " + names[len(names)-1]
}

// worstStatus returns the status of a box of several steps: the one that needs attention first.
func worstStatus(rows []row) Status {
	for _, status := range []Status{Failed, Stopped, Skipped} {
		if slices.ContainsFunc(rows, func(r row) bool { return r.Status == status }) {
			return status
		}
	}
	return rows[0].Status
}

func groupDetail(rows []row) string {
	return strings.ReplaceAll(countSteps(stepsOf(rows)), " succeeded", " ✓")
}

func stepsOf(rows []row) []Step {
	steps := make([]Step, len(rows))
	for i, r := range rows {
		steps[i] = r.Step
	}
	return steps
}
