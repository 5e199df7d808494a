terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}

output "backend_yml" {
  value = provider::brane::backend_yml("3.0", {
    registry_address = "registry.example.org:5000"
    config           = "/config/kubeconfig.yml"
    capabilities     = ["cuda_gpu"]
  })
}
