terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}

variable "redis_password" {
  description = "Password of the Redis user brane."
  type        = string
  ephemeral   = true
}

provider "brane" {
  kubernetes = {
    config_path    = "~/.kube/config"
    config_context = "compute" # a user with the ClusterRole of the guide on permissions
  }
  redis = {
    url      = "rediss://brane@redis.example.org:6380/0"      # for the machine that runs Terraform
    pod_url  = "rediss://brane@redis.brane.svc.cluster.local" # for the pods
    password = var.redis_password                             # for both
  }
  control_plane = {
    directory = "/srv/brane/config" # contains infra.yml and secrets.yml
  }
}
