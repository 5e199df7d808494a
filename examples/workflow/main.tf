terraform {
  required_providers {
    brane = {
      source = "braneframework/brane"
    }
  }
}

# Connects with KUBE_CONFIG_PATH and BRANE_REDIS_URL from the environment. The blocks kubernetes and redis set the same here.
provider "brane" {}

variable "tools_image" {
  description = "Image with a shell that the cluster's nodes can pull."
  type        = string
  default     = "busybox:1.37"
}

resource "brane_namespace" "workflow" {
  name = "brane-workflow"
}

resource "brane_workflow_run" "wordcount" {
  name      = "wordcount"
  namespace = brane_namespace.workflow.name

  inputs = {
    "text" = { content = "It is a truth universally acknowledged" }
  }

  steps = {
    words = {
      image   = var.tools_image
      command = ["sh", "-c", "tr -s ' ' '\\n' < /data/text > /data/words"]
    }
    count = {
      image   = var.tools_image
      command = ["sh", "-c", "grep -c . /data/words > /data/count"]
      needs   = ["words"]
    }
  }

  outputs = {
    count = { path = "count" }
  }
}

output "count" {
  value = "The text has ${trimspace(brane_workflow_run.wordcount.outputs.count.content)} words."
}
