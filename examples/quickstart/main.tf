terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}

# The connections to the cluster and to Redis are set in the environment (KUBE_CONFIG_PATH, BRANE_REDIS_URL, …), so that no password is stored
# in a file. `make quickstart` sets it; `. .cluster/env` sets it in your shell.
provider "brane" {
  control_plane = {
    directory = "${path.module}/control-plane" # the directory of a Brane instance's infra.yml and secrets.yml
  }
}

# The namespace, with a service account that has the permissions that Brane needs.
resource "brane_namespace" "compute" {
  name = "brane-quickstart"
}

# The registration: a location in infra.yml, and a kubeconfig with the service account's token in secrets.yml. There is no Brane instance here,
# so registry and callback_to have placeholder values.
resource "brane_infrastructure" "compute" {
  name        = "compute"
  namespace   = brane_namespace.compute.name
  registry    = var.registry
  callback_to = var.callback_to
}

# Counts the words of a book: both halves concurrently, then their sum. Every step is a Job; its files are stored in Redis.
resource "brane_workflow_run" "wordcount" {
  name           = "wordcount"
  infrastructure = brane_infrastructure.compute.name

  inputs = {
    "opticks.txt" = { source = "${path.module}/opticks.txt" }
  }

  steps = {
    first = {
      image   = var.tools_image
      command = ["sh", "-c", "head -n 4600 /data/opticks.txt | tr -s '[:space:]' '\\n' | grep -c . > /data/first"]
    }
    second = {
      image   = var.tools_image
      command = ["sh", "-c", "tail -n +4601 /data/opticks.txt | tr -s '[:space:]' '\\n' | grep -c . > /data/second"]
    }
    sum = {
      image   = var.tools_image
      command = ["sh", "-c", "echo $(( $(cat /data/first) + $(cat /data/second) )) > /data/words"]
      needs   = ["first", "second"]
    }
  }

  outputs = {
    words = { path = "words" }
  }
}
