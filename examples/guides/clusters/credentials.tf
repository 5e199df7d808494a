provider "brane" {
  clusters = {
    berlin = { config_path = "~/.kube/config", config_context = "berlin" }
    oslo = {
      host                   = "https://203.0.113.7:6443"
      cluster_ca_certificate = var.oslo_ca
      exec = {
        api_version = "client.authentication.k8s.io/v1"
        command     = "aws"
        args        = ["eks", "get-token", "--cluster-name", "oslo"]
      }
    }
  }
}
