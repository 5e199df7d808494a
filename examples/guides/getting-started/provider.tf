terraform {
  required_version = ">= 1.11"

  required_providers {
    brane = {
      source  = "braneframework/brane"
      version = ">= 0.0.1" # 0.0.1 is a build from source; pin the version that you use
    }
  }
}

provider "brane" {
  kubernetes = {
    config_path    = "~/.kube/config"
    config_context = "kind-kind"
  }
  redis = {
    url          = "redis://redis.brane-redis.svc.cluster.local" # its address for pods
    port_forward = { namespace = "brane-redis", service = "redis" }
  }
}
