variable "tools_image" {
  description = "Image with a shell that the cluster's nodes can pull."
  type        = string
  default     = "busybox:1.37"
}

resource "brane_namespace" "runs" {
  name = "brane-runs"
}

resource "brane_workflow_run" "greeting" {
  name      = "greeting"
  namespace = brane_namespace.runs.name # or any namespace that exists

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
  triggers    = { release = "1" } # another value runs all steps again
  timeouts    = { create = "10m" }
}

output "greetings" {
  value = brane_workflow_run.greeting.outputs.greetings.content
}
