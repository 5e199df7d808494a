resource "brane_namespace" "compute" {
  name   = "brane-compute"
  access = "submit" # sufficient for a Brane instance; brane_workflow_run needs "run"
}

resource "brane_infrastructure" "compute" {
  name        = "compute"
  namespace   = brane_namespace.compute.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  mount_dfs   = "redis://198.51.100.10" # the distributed file system of Brane; see redis.pod_url for its effect on workflow runs

  credentials = {
    service_account = brane_namespace.compute.service_account.name
    lifetime        = "720h"
  }
}
