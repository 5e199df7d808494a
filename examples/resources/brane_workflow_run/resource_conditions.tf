# A step that may fail, and a cleanup step that always runs.
resource "brane_workflow_run" "conditions" {
  name      = "conditions"
  namespace = brane_namespace.runs.name
  defaults  = { image = var.tools_image }

  steps = {
    upload = {
      command       = ["sh", "-c", "echo 'the server is unreachable'; exit 1"]
      allow_failure = true # the run succeeds, and results.upload.status is failed
    }
    cleanup = {
      command = ["sh", "-c", "echo done > /data/cleaned"]
      needs   = ["upload"]
      when    = "always" # also if upload had failed without allow_failure
    }
  }

  outputs = { cleaned = { path = "cleaned" } }
}
