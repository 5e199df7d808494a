# terraform apply -invoke=action.brane_rotate_credential.compute
action "brane_rotate_credential" "compute" {
  config {
    infrastructure = "compute"
  }
}
