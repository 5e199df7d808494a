variable "clusters" {
  description = "Address, CA certificate and token for each cluster. The token's service account has the ClusterRole of the guide on permissions."
  type        = map(object({ host = string, ca = string, token = string }))
  sensitive   = true
}

locals {
  names = toset(nonsensitive(keys(var.clusters)))
}

provider "brane" {
  clusters = { for name, cluster in var.clusters : name => {
    host                   = cluster.host
    cluster_ca_certificate = cluster.ca
    token                  = cluster.token
  } }
  control_plane = { directory = "/srv/brane/config" }
}

resource "brane_namespace" "compute" {
  for_each = local.names

  cluster = each.key
  name    = "brane"
}

resource "brane_infrastructure" "compute" {
  for_each = brane_namespace.compute

  cluster     = each.key
  name        = each.key
  namespace   = each.value.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = each.value.service_account.name }
}
