// Command brane-package is all that is in the images of the test packages: as /branelet it does what Brane's own branelet of the version in BRANELET_VERSION
// does with the arguments of a call and with what the package's program prints, and under any other name it is that program.
//
// It stands for images that were built by Brane, so it shares nothing with package branelet, which it tests: two readings of one interface.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if filepath.Base(os.Args[0]) == "branelet" {
		b := imitation{version: os.Getenv("BRANELET_VERSION")}
		os.Exit(b.run(os.Args[1:]))
	}
	if err := program(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Traceback:", err)
		os.Exit(1)
	}
}
