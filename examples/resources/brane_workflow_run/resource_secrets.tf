# Secrets as environment variables: from a Secret of the namespace, and from a write-only value that is not stored in the state.
variable "api_token" {
  type      = string
  ephemeral = true
}

resource "brane_workflow_run" "secrets" {
  name      = "secrets"
  namespace = brane_namespace.runs.name

  steps = {
    upload = {
      image           = var.tools_image
      command         = ["sh", "-c", "test -n \"$HUB_TOKEN\" -a -n \"$API_TOKEN\""]
      env_from_secret = { HUB_TOKEN = { secret = "hub", key = "token" } }
    }
  }

  secret_env_wo         = { upload = { API_TOKEN = var.api_token } }
  secret_env_wo_version = 1 # increment it when the value changes
}
