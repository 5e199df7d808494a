// Schema writes what the provider offers as JSON, in the form of `terraform providers schema -json`: `make docs`
// feeds it to tfplugindocs. The CLI's own answer depends on its version (a Terraform before 1.14 leaves actions and
// lists out, and OpenTofu knows neither), so the docs would change with the machine; this one is the same everywhere
// and needs no CLI. It refuses a provider with anything that has no description.
//
// It knows only the protocol: it must not look at the provider's Go types.
package main
