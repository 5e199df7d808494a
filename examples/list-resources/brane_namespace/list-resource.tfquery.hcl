list "brane_namespace" "imaging" {
  provider = brane

  config {
    cluster  = "berlin"
    selector = "example.org/team=imaging"
  }
}
