provider "brane" {
  control_plane = {
    directory     = "/srv/brane/config"
    brane_version = "0.6.3"
  }
}
