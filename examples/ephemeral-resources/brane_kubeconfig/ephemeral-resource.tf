resource "brane_namespace" "compute" {
  name = "brane"
}

ephemeral "brane_kubeconfig" "compute" {
  namespace       = brane_namespace.compute.name
  namespace_uid   = brane_namespace.compute.uid # waits for a namespace that is created in the same apply
  service_account = brane_namespace.compute.service_account.name
  lifetime        = "30m"
}

# A provider with the permissions of the service account, without its token in the state.
provider "brane" {
  alias = "compute"
  kubernetes = {
    host                   = ephemeral.brane_kubeconfig.compute.host
    cluster_ca_certificate = ephemeral.brane_kubeconfig.compute.cluster_ca_certificate
    token                  = ephemeral.brane_kubeconfig.compute.token
  }
}
