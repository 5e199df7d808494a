terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }

  # A runner keeps no files, so the state needs a backend. A Secret of the same cluster is the shortest one.
  backend "kubernetes" {
    secret_suffix = "brane"
    namespace     = "terraform-state"
  }
}

provider "brane" {
  # The cluster and Redis are in the environment: KUBE_CONFIG_PATH, which the backend reads as well, and BRANE_REDIS_URL.
  control_plane = {
    kubernetes_secret = { # instead of a directory, which each runner would find empty
      namespace = "brane-control"
      name      = "brane-config"
    }
  }
}

resource "brane_namespace" "compute" {
  name = "brane-compute"
}

resource "brane_infrastructure" "compute" {
  name        = "compute"
  namespace   = brane_namespace.compute.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.compute.service_account.name }
}

resource "brane_workflow_run" "report" {
  name           = "report"
  infrastructure = brane_infrastructure.compute.name

  steps = {
    count = {
      image   = "busybox:1.37"
      command = ["sh", "-c", "date > /data/date"]
    }
  }

  report_path = "reports/report.html" # an artifact of the pipeline
  timeouts    = { create = "30m" }    # less than the timeout of the job
}
