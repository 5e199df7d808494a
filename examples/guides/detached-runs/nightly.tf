resource "brane_workflow_run" "nightly" {
  name      = "nightly"
  namespace = brane_namespace.demo.name

  wait        = false
  report_path = "${path.module}/nightly.html"
  timeouts    = { create = "12h" } # the run is stopped after this time
  retention   = "72h"

  engine = { # the pod that runs the workflow
    labels    = { "example.org/team" = "imaging" }
    resources = { requests = { cpu = "50m", memory = "64Mi" } }
  }

  steps = {
    work = {
      image   = "busybox:1.37"
      command = ["sh", "-c", "sleep 3; echo done > /data/result"]
    }
  }

  outputs = {
    result = { path = "result" }
  }
}

output "nightly" {
  value = brane_workflow_run.nightly.status
}
