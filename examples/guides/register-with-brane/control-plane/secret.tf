provider "brane" {
  control_plane = {
    kubernetes_secret = { namespace = "brane-control", name = "brane-config" }
    brane_version     = "0.6.3"
  }
}
