provider "brane" {
  kubernetes = {
    host                   = "https://203.0.113.7:6443"
    cluster_ca_certificate = var.cluster_ca # PEM
    token                  = var.cluster_token
  }
}
