resource "brane_workflow_run" "training" {
  name      = "training"
  namespace = brane_namespace.demo.name

  scheduling_timeout = "15m" # longer than your autoscaler needs to add a node
  startup_timeout    = "5m"  # longer than your registry may fail; a pull in progress is not limited
  timeouts           = { create = "4h" }

  defaults = {
    image     = "busybox:1.37"
    resources = { requests = { cpu = "50m" }, limits = { memory = "256Mi" } }
    pod_patch = yamlencode({ spec = { enableServiceLinks = false } }) # what has no attribute
  }

  steps = {
    prepare = {
      command = ["sh", "-c", "echo ready > /data/dataset"]
    }
    train = {
      command = ["sh", "-c", "cp /data/dataset /data/model"]
      needs   = ["prepare"]
      timeout = "3h"

      resources     = { requests = { memory = "64Mi" }, limits = { memory = "512Mi", "nvidia.com/gpu" = 1 } }
      node_selector = { accelerator = "a100" }
      tolerations   = [{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }]
    }
  }

  outputs = {
    model = { path = "model" }
  }
}
