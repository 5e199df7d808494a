# Resources and scheduling. scheduling_timeout is longer than the autoscaler needs to add a node with GPUs.
resource "brane_workflow_run" "scheduling" {
  name               = "scheduling"
  namespace          = brane_namespace.runs.name
  scheduling_timeout = "15m"

  defaults = {
    image     = var.tools_image
    timeout   = "2h"
    resources = { requests = { cpu = "100m" }, limits = { memory = "2Gi" } }
  }

  steps = {
    train = {
      command       = ["true"]
      resources     = { requests = { memory = "64Mi" }, limits = { memory = "16Gi", "nvidia.com/gpu" = 1 } }
      node_selector = { "accelerator" = "a100" }
      tolerations   = [{ key = "nvidia.com/gpu", operator = "Exists", effect = "NoSchedule" }]
    }
  }
}
