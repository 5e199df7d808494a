// Schema writes the provider's schemas as JSON in the format of `terraform providers schema -json`, which `make docs`
// passes to tfplugindocs. The output of a CLI depends on its version: Terraform before 1.14 omits actions and list
// resources, and OpenTofu supports neither. Schema needs no CLI. It fails if anything has no description.
//
// It uses only the plugin protocol, not the Go types of the provider.
package main
