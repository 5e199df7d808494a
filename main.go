// Command terraform-provider-brane brings Kubernetes clusters under Brane and runs workflows on them.
package main

import (
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/braneframework/terraform-provider-brane/internal/plugin"
	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

// version is set by the linker when a release is built.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "run for a debugger: print the line that makes a Terraform process use this one")
	flag.Parse()
	err := plugin.Serve("registry.terraform.io/braneframework/brane", providerserver.NewProtocol6(provider.New(version)()), *debug)
	if err != nil {
		log.Fatal(err)
	}
}
