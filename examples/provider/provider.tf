terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}

provider "brane" {
  kubernetes = {
    config_path    = "~/.kube/config"
    config_context = "terraform" # credentials with the permissions of the guide "Permissions of the provider"
  }
  redis = {
    url     = "rediss://brane@redis.example.org:6380/0" # set the password with BRANE_REDIS_PASSWORD
    pod_url = "rediss://brane@redis.brane.svc:6380/0"
  }
  control_plane = {
    directory = "/srv/brane/config"
  }
}
