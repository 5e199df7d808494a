provider "brane" {
  kubernetes = {
    config_path    = "~/.kube/config"
    config_context = "compute" # defaults to the current context
  }
}
