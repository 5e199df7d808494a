data "brane_workflow_run" "training" {
  name      = "training"
  namespace = "brane"
}

output "accuracy" {
  value = data.brane_workflow_run.training.outputs["accuracy"].content

  precondition {
    condition     = data.brane_workflow_run.training.status == "succeeded"
    error_message = "The training has not succeeded."
  }
}
