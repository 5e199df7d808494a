# A large output of a run, saved to a local file.
data "brane_file" "model" {
  run            = brane_workflow_run.training.id
  outputs_digest = brane_workflow_run.training.outputs_digest
  path           = "model.bin"
  save_to        = "${path.module}/model.bin"
}

resource "brane_workflow_run" "training" {
  name           = "training"
  infrastructure = "compute"
  steps = {
    train = { image = "busybox:1.37", command = ["sh", "-c", "head -c 10000000 /dev/urandom > /data/model.bin"] }
  }
  outputs = { model = { path = "model.bin" } }
}
