terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}

output "infra_yml" {
  value = provider::brane::infra_yml({
    compute = {
      address     = "203.0.113.7:6443"
      namespace   = "brane"
      registry    = "198.51.100.10:50050"
      callback_to = "http://198.51.100.10:50052"
      mount_dfs   = "redis://198.51.100.10"
    }
  })
}
