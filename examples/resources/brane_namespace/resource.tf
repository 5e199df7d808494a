resource "brane_namespace" "compute" {
  name   = "brane"
  access = "run"

  labels = {
    "example.org/team" = "imaging"
  }
}
