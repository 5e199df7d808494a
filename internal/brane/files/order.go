package files

import (
	"fmt"
	"strings"
)

// order checks that entries are valid, are sorted by the bytes of their paths, appear once each, and that only directories contain others.
// It remembers only the entries that may still contain later ones: in sorted input these are prefixes of the last path.
type order struct {
	last  string
	above []node
	by    string // the last writer, whose name was checked
}

type node struct {
	path  string
	isDir bool
}

// checkEntry rejects an entry that no correct writer puts here.
func (o *order) checkEntry(e *Entry) error {
	if err := e.checkFields(); err != nil {
		return err
	}
	if e.By != o.by {
		if e.By != "" && !stepName.MatchString(e.By) {
			return fmt.Errorf("path %q was written by %q, which is not a valid step name", e.Path, e.By)
		}
		o.by = e.By
	}
	if e.Path <= o.last {
		return fmt.Errorf("path %q is a duplicate or out of order", e.Path)
	}
	if above := o.findFileAbove(e.Path); above != "" {
		return fmt.Errorf("path %q is below %q, which is not a directory", e.Path, above)
	}
	o.addEntry(e)
	return nil
}

// addEntry adds an entry that was checked before.
func (o *order) addEntry(e *Entry) {
	o.last = e.Path
	o.dropClosed(e.Path)
	o.above = append(o.above, node{e.Path, e.Mode.IsDir()})
}

// findFileAbove returns the path of an entry that contains this path although it is not a directory, or "".
func (o *order) findFileAbove(name string) string {
	o.dropClosed(name)
	for _, n := range o.above {
		if !n.isDir && strings.HasPrefix(name[len(n.path):], "/") {
			return n.path
		}
	}
	return ""
}

// dropClosed drops the entries that cannot contain any later one.
func (o *order) dropClosed(name string) {
	for len(o.above) > 0 && !strings.HasPrefix(name, o.above[len(o.above)-1].path) {
		o.above = o.above[:len(o.above)-1]
	}
}
