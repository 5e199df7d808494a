//go:build linux

// Command brane-agent runs inside the containers of a step: `stage` in the init container, and `run -- COMMAND` in the main container, where it runs the command
// of the step; or `alone -- COMMAND`, which does both. It is a thin main around package agent.
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
       brane-agent run -- COMMAND [ARGUMENT...]
       brane-agent alone -- COMMAND [ARGUMENT...]
       brane-agent version

The agent of a step: it stages the files in, runs the command, and stores the files that the command has written. Pods start
it; see the guide "Redis data format".
`

// exitUsage is the usual exit code for wrong arguments.
const exitUsage = 2

func main() {
	agent.Version = version
	// The memory of the container belongs to the command. The limit makes the garbage collector run more often; it does not make the agent fail.
	debug.SetMemoryLimit(24 << 20)
	if code, is := agent.Witness(os.Args); is {
		os.Exit(code)
	}
	logging.Disable() // of go-redis: stderr is for the command and for the messages of the agent
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
	flags.StringVar(&paths.LastWords, "last-words", "", "file for the termination message (default "+agent.LastWords+")")
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
