variable "tools_image" {
  description = "Image with a shell that the cluster's nodes can pull."
  type        = string
  default     = "busybox:1.37"
}

resource "brane_namespace" "runs" {
  name = "brane-runs"
}

resource "brane_infrastructure" "runs" {
  name        = "runs"
  namespace   = brane_namespace.runs.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.runs.service_account.name }
}

resource "brane_workflow_run" "greeting" {
  name           = "greeting"
  infrastructure = brane_infrastructure.runs.name

  inputs = {
    "names" = { content = "Ada\nGrace\n" }
  }

  steps = {
    greet = {
      image   = var.tools_image
      command = ["sh", "-c", "sed 's/^/Hello, /' /data/names > /data/greetings"]
      timeout = "5m"
    }
    count = {
      image   = var.tools_image
      command = ["sh", "-c", "wc -l < /data/greetings > /data/count"]
      needs   = ["greet"]
    }
  }

  outputs = {
    greetings = { path = "greetings" }
    count     = { path = "count" }
  }

  report_path = "greeting.html"   # an HTML page
  triggers    = { release = "1" } # changing a value runs all steps again
  timeouts    = { create = "10m" }
}

output "greetings" {
  value = brane_workflow_run.greeting.outputs.greetings.content
}
