terraform {
  required_providers {
    brane = {
      source  = "braneframework/brane"
      version = ">= 0.0.1"
    }
  }
}

provider "brane" {
  kubernetes    = { config_path = "~/.kube/config" }
  control_plane = { directory = "/srv/brane/config" } # contains infra.yml and secrets.yml
}

resource "brane_namespace" "imaging" {
  name            = "brane-imaging" # the existing namespace
  adopt           = true
  access          = "submit" # all that Brane needs; "run" for brane_workflow_run
  deletion_policy = "retain" # destroying the resource keeps the namespace
}

resource "brane_infrastructure" "imaging" {
  name        = "imaging" # the existing location
  namespace   = brane_namespace.imaging.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.imaging.service_account.name }
}
