# On a cluster that is registered with a Brane instance, with the registered credentials.
resource "brane_infrastructure" "runs" {
  name        = "runs"
  namespace   = brane_namespace.runs.name
  registry    = "198.51.100.10:50050"
  callback_to = "http://198.51.100.10:50052"
  credentials = { service_account = brane_namespace.runs.service_account.name }
}

resource "brane_workflow_run" "registered" {
  name           = "registered"
  infrastructure = brane_infrastructure.runs.name
  steps          = { greet = { image = var.tools_image, command = ["sh", "-c", "echo hello > /data/greeting"] } }
  outputs        = { greeting = { path = "greeting" } }
}
