variable "api_token" {
  description = "Token of the server to which the step uploads."
  type        = string
  ephemeral   = true # neither in the plan nor in the state
}

resource "brane_workflow_run" "upload" {
  name      = "upload"
  namespace = brane_namespace.demo.name

  steps = {
    upload = {
      image   = "busybox:1.37"
      command = ["sh", "-c", "test -n \"$HUB_TOKEN\" -a -n \"$API_TOKEN\""]
      env_from_secret = {
        HUB_TOKEN = { secret = "hub", key = "token" }
      }
    }
  }

  secret_env_wo         = { upload = { API_TOKEN = var.api_token } }
  secret_env_wo_version = 1 # increase it to use another value
}

output "upload" {
  value = brane_workflow_run.upload.results.upload.status
}
