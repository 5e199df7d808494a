provider "brane" {
  kubernetes = { in_cluster = true }
}
