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
    config_context = "admin"
  }
  redis = {
    url     = "rediss://brane@redis.example.org:6380/0" # the password: BRANE_REDIS_PASSWORD, or password = a variable marked sensitive
    pod_url = "redis://redis.brane.svc:6379/0"
  }
  control_plane = {
    directory = "/srv/brane/config"
  }
}
