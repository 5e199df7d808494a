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

// split divides a tree into what patterns choose, with the folders on the way there, and the rest.
func (t Tree) split(p Patterns) (chosen, rest Tree) {
	if len(p) == 0 {
		return t, Tree{}
	}
	take := make([]bool, t.Len())
	for i, e := range t.entries {
		if !p.Match(e.Path) {
			continue
		}
		take[i] = true
		for parent := path.Dir(e.Path); parent != "."; parent = path.Dir(parent) {
			at, found := t.index(parent)
			if found && take[at] {
				break
			}
			if found {
				take[at] = true
			}
		}
	}
	for i, e := range t.entries {
		if take[i] {
			chosen.entries = append(chosen.entries, e)
		} else {
			rest.entries = append(rest.entries, e)
		}
	}
	return chosen, rest
}
