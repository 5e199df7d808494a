// Command terraform-provider-brane brings Kubernetes clusters under Brane and runs workflows on them.
package main

import (
	"cmp"
	"context"
	"flag"
	"log"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

// address is the provider's address in the registry.
const address = "registry.terraform.io/braneframework/brane"

// version is set by the linker when a release is built.
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "run under a debugger: print the TF_REATTACH_PROVIDERS line that connects Terraform to this process")
	flag.Parse()
	if err := limitSDKLogs(); err != nil {
		log.Fatal(err)
	}
	if err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{Address: address, Debug: *debug}); err != nil {
		log.Fatal(err)
	}
}

// limitSDKLogs limits what Terraform's libraries log about each request to the level that the CLI keeps. By default they write dozens of lines of
// JSON for each request, which the CLI parses and discards.
func limitSDKLogs() error {
	const variable = "TF_LOG_SDK"
	if _, isSet := os.LookupEnv(variable); isSet {
		return nil
	}
	return os.Setenv(variable, cmp.Or(os.Getenv("TF_LOG_PROVIDER"), os.Getenv("TF_LOG"), "off"))
}
