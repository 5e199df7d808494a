resource "brane_namespace" "brane" {
  name   = "brane-compute"
  access = "submit" # all that Brane needs
}

resource "brane_infrastructure" "compute" {
  name        = "compute"
  namespace   = brane_namespace.brane.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"

  credentials = {
    service_account = brane_namespace.brane.service_account.name
    lifetime        = "720h"
  }
}

output "compute_expires_at" {
  value = brane_infrastructure.compute.expires_at
}
