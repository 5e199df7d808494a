resource "brane_workflow_run" "sweep" {
  name      = "sweep"
  namespace = brane_namespace.demo.name
  defaults  = { image = "busybox:1.37" }

  steps = {
    train = {
      items       = ["0.1", "0.01", "0.001"]
      command     = ["sh", "-c", "echo rate $BRANE_ITEM > /data/model.$BRANE_INDEX"]
      writes      = ["model.*"] # nothing else is stored
      parallelism = 2
      retries     = 1
    }
    compare = {
      command = ["sh", "-c", "cat /data/model.* > /data/models"]
      needs   = ["train"]
    }
  }

  outputs = {
    models = { path = "models" }
  }
}

output "models" {
  value = split("\n", trimspace(brane_workflow_run.sweep.outputs.models.content))
}
