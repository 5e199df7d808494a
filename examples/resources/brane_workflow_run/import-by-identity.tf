import {
  to = brane_workflow_run.greeting
  identity = {
    name      = "greeting"
    namespace = "brane-runs"
  }
}
