//go:build linux

// Command brane-agent runs inside the containers of a step: `stage` in the init container, `run -- PROGRAM` around the
// user's program; or `alone -- PROGRAM`, which is both. Package agent does all of it.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/redis/go-redis/v9/logging"

	"github.com/braneframework/terraform-provider-brane/internal/brane/agent"
	"github.com/braneframework/terraform-provider-brane/internal/brane/files"
)

// version is set when a release is built.
var version = "dev"

const usage = `usage: brane-agent stage
       brane-agent run -- PROGRAM [ARGUMENT...]
       brane-agent alone -- PROGRAM [ARGUMENT...]
       brane-agent version

The agent of a step: it brings the files in, runs the program, and stores what it leaves. Pods start it; see the guide
"Redis data format".
`

// exitUsage is that of every program that does not understand its arguments.
const exitUsage = 2

func main() {
	// A tree of files costs memory that is the program's by right. The limit makes the collector work more, not the agent fail.
	debug.SetMemoryLimit(24 << 20)
	if code, is := agent.Witness(os.Args); is {
		os.Exit(code)
	}
	logging.Disable() // of go-redis: each line on stderr is the program's, or the agent's own
	files.Overlap()
	os.Exit(execute(os.Args[1:]))
}

func execute(args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return exitUsage
	}
	flags := flag.NewFlagSet("brane-agent", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	var paths agent.Paths
	flags.StringVar(&paths.Mount, "mount", "", "directory of the agent and its specification (default "+agent.Mount+")")
	flags.StringVar(&paths.Data, "data", "", "directory of the files (default "+agent.DataMount+")")
	flags.StringVar(&paths.Secret, "secret", "", "directory of the mounted Secret (default "+agent.SecretMount+")")
	flags.StringVar(&paths.LastWords, "last-words", "", "file for why the agent gives up (default "+agent.LastWords+")")
	if err := flags.Parse(args[1:]); err != nil {
		return exitUsage
	}
	switch {
	case args[0] == "stage" && flags.NArg() == 0:
		return agent.Stage(paths, os.Getenv, os.Stderr)
	case args[0] == "run" && flags.NArg() > 0:
		return agent.Run(paths, flags.Args(), os.Stdout, os.Stderr)
	case args[0] == "alone" && flags.NArg() > 0:
		return agent.RunAlone(paths, flags.Args(), os.Stdout, os.Stderr)
	case args[0] == "version":
		fmt.Println(version)
		return 0
	}
	fmt.Fprint(os.Stderr, usage)
	return exitUsage
}
