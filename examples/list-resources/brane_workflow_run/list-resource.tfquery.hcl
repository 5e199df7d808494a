list "brane_workflow_run" "imaging" {
  provider = brane

  config {
    cluster   = "berlin"
    namespace = "imaging"
  }
}
