# A fan-out step: one pod for each item, at most two at a time. The next step sees the files of all of them.
resource "brane_workflow_run" "sweep" {
  name        = "sweep"
  namespace   = brane_namespace.runs.name
  parallelism = 2

  inputs = { "corpus/alice.txt" = { content = "Down the rabbit hole" } }

  steps = {
    train = {
      image   = var.tools_image
      command = ["sh", "-c", "echo rate $BRANE_ITEM > /data/model.$BRANE_INDEX"]
      items   = ["0.1", "0.01", "0.001"]
      reads   = ["corpus/**"] # files that the step sees
      writes  = ["model.*"]   # files that are stored
      retries = 2
    }
    compare = {
      image   = var.tools_image
      command = ["sh", "-c", "cat /data/model.* > /data/models"]
      needs   = ["train"]
    }
  }

  outputs = { models = { path = "models" } }
}
