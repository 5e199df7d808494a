// Package pulumi tests the provider with Pulumi (make test-pulumi). Pulumi's users take a Terraform provider through the plugin terraform-provider, which starts the
// provider and translates its schemas. The tests start that plugin: they compare the translated schema with the schemas of the provider, and create the resources of the
// program in the guide on Pulumi with the test cluster.
package pulumi
