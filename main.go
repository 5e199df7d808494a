// Command terraform-provider-brane brings Kubernetes clusters under Brane and runs workflows on them.
package main

import (
	"flag"
	"log"
	"os"
	"runtime/debug"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/braneframework/terraform-provider-brane/internal/plugin"
	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

// version is set by the linker when a release is built.
var version = "dev"

// gcPercent is twice Go's own. A CLI's calls leave half a GiB of garbage in a plan of 200 resources, and little that stays: collected half as often it takes a
// tenth less of the processor, and 11 MB more of memory.
const gcPercent = 200

func main() {
	debugged := flag.Bool("debug", false, "run for a debugger: print the line that makes a Terraform process use this one")
	flag.Parse()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	err := plugin.Serve("registry.terraform.io/braneframework/brane", providerserver.NewProtocol6(provider.New(version)()), *debugged)
	if err != nil {
		log.Fatal(err)
	}
}
