# A namespace of a team: quota, default limits, network policy and Pod Security, and optionally its registration with a Brane instance.
terraform {
  required_version = ">= 1.11"

  required_providers {
    brane = {
      source  = "braneframework/brane"
      version = ">= 0.0.1"
    }
  }
}

resource "brane_namespace" "this" {
  cluster         = var.cluster
  name            = var.namespace
  service_account = { name = "brane" }
  resource_quota  = var.quota
  limit_range = {
    default         = { cpu = "1", memory = "1Gi" }
    default_request = { cpu = "100m", memory = "128Mi" }
  }

  pod_security = { enforce = var.brane == null ? "baseline" : "privileged" }

  network_policy = {
    egress = merge(
      { redis = { cidrs = var.redis_cidrs, ports = [var.redis_port] } },
      var.brane == null ? {} : { callback = { cidrs = var.brane.callback_cidrs, ports = [50052] } },
    )
  }
}

resource "brane_infrastructure" "this" {
  count = var.brane == null ? 0 : 1

  cluster     = var.cluster
  name        = var.brane.name
  namespace   = brane_namespace.this.name
  registry    = var.brane.registry
  callback_to = var.brane.callback_to

  credentials = { service_account = brane_namespace.this.service_account.name, lifetime = "720h" }
}
