resource "brane_namespace" "compute" {
  name   = "brane-compute"
  access = "submit" # all that a Brane instance asks for; "run" for brane_workflow_run
}

resource "brane_infrastructure" "compute" {
  name        = "compute"
  namespace   = brane_namespace.compute.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  mount_dfs   = "redis://198.51.100.10"

  credentials = {
    service_account = brane_namespace.compute.service_account.name
    lifetime        = "720h"
  }
}
