resource "brane_workflow_run" "nightly" {
  name      = "nightly"
  namespace = brane_namespace.demo.name

  wait        = false
  report_path = "${path.module}/nightly.html"
  retention   = "72h" # the run is stopped after this time

  engine = { # the pod that runs the workflow
    labels    = { "example.org/team" = "imaging" }
    resources = { requests = { cpu = "50m", memory = "64Mi" } }
  }

  steps = {
    work = {
      image   = "busybox:1.37"
      command = ["sh", "-c", "sleep 3; echo done > /data/result"]
      timeout = "12h"
    }
  }

  outputs = {
    result = { path = "result" }
  }
}

output "nightly" {
  value = brane_workflow_run.nightly.status
}
