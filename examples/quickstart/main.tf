terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}

# The cluster and Redis come from the environment (KUBE_CONFIG_PATH, BRANE_REDIS_URL, …), so that no address stands here
# and no password in a file. `make quickstart` sets it; `. .cluster/env` does the same for your shell.
provider "brane" {
  control_plane = {
    directory = "${path.module}/control-plane" # where a Brane instance would keep infra.yml and secrets.yml
  }
}

# The namespace in which Brane runs, with a service account that can do there what Brane needs and nothing more.
resource "brane_namespace" "compute" {
  name = "brane-quickstart"
}

# Tells the Brane instance of the cluster: a location in infra.yml, and the account's token in secrets.yml.
resource "brane_infrastructure" "compute" {
  name        = "compute"
  namespace   = brane_namespace.compute.name
  registry    = var.registry
  callback_to = var.callback_to
  credentials = { service_account = brane_namespace.compute.service_account.name }
}

# Counts the words of a book: both halves at once, then their sum. Every step is a Job; its files pass through Redis.
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
