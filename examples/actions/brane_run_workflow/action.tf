# terraform apply -invoke=action.brane_run_workflow.nightly
action "brane_run_workflow" "nightly" {
  config {
    name           = "nightly"
    infrastructure = "compute"

    inputs = {
      "names" = { content = "Ada\nGrace\n" }
    }

    steps = {
      greet = {
        image   = "busybox:1.37"
        command = ["sh", "-c", "sed 's/^/Hello, /' /data/names > /data/greetings"]
      }
      count = {
        image   = "busybox:1.37"
        command = ["sh", "-c", "wc -l < /data/greetings > /data/count"]
        needs   = ["greet"]
      }
    }

    outputs = {
      count = { path = "count" }
    }

    report_path = "reports/nightly.html"
    timeouts    = { invoke = "10m" }
  }
}
