package files

import (
	"fmt"
	"path"
	"strings"
)

// Patterns select paths of a tree. Without patterns, all paths are selected.
//
// The segments of a pattern are those of [path.Match]; the segment ** matches any number of directories. A pattern that matches a directory
// selects everything in it.
type Patterns []string

// Check returns an error about the first invalid pattern.
func (p Patterns) Check() error {
	for _, pattern := range p {
		if _, err := path.Match(pattern, "x"); err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if err := CheckPath(pattern); err != nil {
			return fmt.Errorf("pattern %q: %w", pattern, err)
		}
	}
	return nil
}

// Match reports whether a pattern matches the path or a directory that contains it.
func (p Patterns) Match(name string) bool {
	if len(p) == 0 {
		return true
	}
	parts := strings.Split(name, "/")
	for _, pattern := range p {
		if matchParts(strings.Split(pattern, "/"), parts) {
			return true
		}
	}
	return false
}

func matchParts(pattern, name []string) bool {
	if len(pattern) == 0 {
		return true // the rest of the name is inside the directory
	}
	if pattern[0] == "**" {
		for i := range len(name) + 1 {
			if matchParts(pattern[1:], name[i:]) {
				return true
			}
		}
		return false
	}
	if len(name) == 0 {
		return false
	}
	matched, err := path.Match(pattern[0], name[0])
	return err == nil && matched && matchParts(pattern[1:], name[1:])
}

// MayMeet reports whether a path may exist that both patterns select. If this is hard to decide it returns true: two segments with
// wildcards always count as overlapping.
func MayMeet(one, other string) bool {
	a, b := strings.Split(one, "/"), strings.Split(other, "/")
	apart := map[[2]int]bool{} // positions from which the patterns do not overlap, as ** can be tried in many ways
	var meet func(i, j int) bool
	meet = func(i, j int) bool {
		if i == len(a) || j == len(b) {
			return true // everything in a selected directory is selected
		}
		if apart[[2]int{i, j}] {
			return false
		}
		met := false
		if a[i] == "**" || b[j] == "**" {
			met = meet(i+1, j) || meet(i, j+1)
		} else {
			met = partsMeet(a[i], b[j]) && meet(i+1, j+1)
		}
		apart[[2]int{i, j}] = !met
		return met
	}
	return meet(0, 0)
}

func partsMeet(one, other string) bool {
	isPlain := func(part string) bool { return !strings.ContainsAny(part, `*?[\`) }
	if isPlain(one) {
		one, other = other, one
	}
	if !isPlain(other) {
		return true
	}
	matched, err := path.Match(one, other)
	return err == nil && matched
}
