package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
)

// write writes the schemas of a provider server to out. It returns an error and writes nothing if a description is missing.
func write(ctx context.Context, server tfprotov6.ProviderServer, out io.Writer) error {
	offered, err := read(ctx, server)
	if err != nil {
		return err
	}
	if names := undescribed(offered); len(names) > 0 {
		return fmt.Errorf("without a description:\n  %s", strings.Join(names, "\n  "))
	}
	// tfplugindocs looks up a provider by its short name first.
	return json.NewEncoder(out).Encode(document{
		FormatVersion: "1.0",
		Providers:     map[string]providerSchema{"brane": offered},
	})
}
