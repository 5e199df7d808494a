package files

import (
	"fmt"
	"path"
	"strings"
)

// Patterns choose paths of a tree. None choose everything.
//
// The parts of a pattern are those of [path.Match]; a part ** stands for any number of folders. A pattern that matches
// a folder chooses all that is in it.
type Patterns []string

// Check says what is wrong with the first wrong pattern.
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

// Match tells whether a path, or a folder it is in, matches.
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
		return true // what is left of the name is inside
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

// MayMeet says whether there can be a path that both patterns choose. Where that is hard to tell it says yes: parts with wildcards on both sides are taken to meet.
func MayMeet(one, other string) bool {
	a, b := strings.Split(one, "/"), strings.Split(other, "/")
	apart := map[[2]int]bool{} // what was found not to meet from there on: ** can be tried in many ways
	var meet func(i, j int) bool
	meet = func(i, j int) bool {
		if i == len(a) || j == len(b) {
			return true // what is in a folder that is chosen, is chosen as well
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
