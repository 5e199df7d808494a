package main

import (
	"context"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/braneframework/terraform-provider-brane/internal/provider"
)

func main() {
	server := providerserver.NewProtocol6(provider.New("docs")())()
	if err := write(context.Background(), server, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "schema:", err)
		os.Exit(1)
	}
}
