import {
  to = brane_infrastructure.compute
  identity = {
    name = "compute"
  }
}

resource "brane_infrastructure" "compute" {
  name        = "compute"
  namespace   = "brane-compute"
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"

  credentials = {
    service_account = "brane"
  }
}
