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
    config_path = "~/.kube/config"
  }
  redis = {
    url       = "redis://brane@redis"                    # the host is only used for the certificate, with rediss
    pod_url   = "redis://brane@redis.databases.svc:6379" # for the pods
    password  = var.redis_password                       # for both
    acl_users = "require"                                # each run gets a user for its keys only
    port_forward = {
      namespace = "databases"
      service   = "redis"
    }
  }
}
