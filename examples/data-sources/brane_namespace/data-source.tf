data "brane_namespace" "compute" {
  name = "brane"
}

resource "brane_infrastructure" "compute" {
  name        = "compute"
  namespace   = data.brane_namespace.compute.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = data.brane_namespace.compute.service_account.name }
}
