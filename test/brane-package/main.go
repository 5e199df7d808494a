// Command brane-package is the only program in the images of the test packages. As /branelet it handles the arguments of a call and the output of the
// package's program like the branelet of Brane version BRANELET_VERSION; under any other name it is the package's program.
//
// It represents images that Brane has built, so it shares no code with package branelet, which it tests.
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
